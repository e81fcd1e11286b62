"""Which keys exist when: the ring in memory and the lasting keys on disk, kept in step."""

from overt.control.keystore import KeyStore
from overt.control.policy import PICTURES_SCOPE, WATCHLIST_SCOPE
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyRing


class ControlKeys:
    """Opens and closes key scopes. Only `ring` is handed to services; picture keys never enter it."""

    def __init__(self, store: KeyStore, ring: KeyRing) -> None:
        self._store = store
        self.ring = ring

    def open_deployment(self, deployment_id: str) -> None:
        """Allow epoch keys for a deployment and give out its lasting key."""
        self.ring.open(deployment_id, self._store.find_or_make(deployment_id))

    def close_deployment(self, deployment_id: str) -> None:
        """Destroy the epoch keys at once; the lasting key stays for the alerts until they are erased."""
        self.ring.close(deployment_id, keep_lasting=True)

    def restore_closed(self, deployment_id: str) -> None:
        """After a restart: give out the lasting key of a deployment that is over, and no epoch key."""
        lasting = self._store.find(deployment_id)
        if lasting is not None:
            self.ring.open(deployment_id, lasting)
            self.ring.close(deployment_id, keep_lasting=True)

    def open_watchlist(self, watchlist_id: str) -> DataKey:
        """Give out the key of a list's rotation, made first if there is none, and return it."""
        key = self._store.find_or_make(WATCHLIST_SCOPE + watchlist_id)
        self.ring.open(key.scope, key)
        return key

    def pictures(self, watchlist_id: str) -> DataKey:
        """The key that seals a list's reference pictures, made first if there is none."""
        return self._store.find_or_make(PICTURES_SCOPE + watchlist_id)

    def find_pictures(self, watchlist_id: str) -> DataKey | None:
        """The key that seals a list's reference pictures, or None when it was destroyed."""
        return self._store.find(PICTURES_SCOPE + watchlist_id)

    def forget_watchlist(self, watchlist_id: str) -> None:
        """Destroy both keys of a list."""
        self.forget(WATCHLIST_SCOPE + watchlist_id)
        self.forget(PICTURES_SCOPE + watchlist_id)

    def forget(self, scope: str) -> bool:
        """Destroy every key of `scope`, in memory and on disk. Returns whether a lasting one existed."""
        self.ring.close(scope)
        return self._store.forget(scope)
