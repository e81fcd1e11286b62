"""Where services get data keys from: made in memory by `KeyRing`, or asked for over HTTP (`keys_http.py`)."""

import os
import threading
from collections.abc import Callable
from typing import Literal, Protocol

from overt.runtime.clock import Clock
from overt.runtime.envelope import KEY_BYTES, DataKey

KeyKind = Literal["epoch", "lasting"]


class KeyGone(LookupError):
    """The key was destroyed or never existed: what it sealed is unreadable for good."""


class KeySource(Protocol):
    """Hands out data keys."""

    def current(self, scope: str, kind: KeyKind) -> DataKey:
        """Return the key to seal with now. Raises KeyGone when the scope is closed or unknown."""

    def by_id(self, key_id: str) -> DataKey:
        """Return the key that sealed something. Raises KeyGone."""


class KeyRing:
    """Makes epoch keys, holds them in memory only, and destroys them on time.

    A scope must be opened before keys exist for it; closing it destroys its keys at once. An epoch lasts
    `epoch_s`; its key is kept `linger_s` longer for what is still on its way, then dropped. Ids carry
    random bits, so a restart starts a new epoch and old payloads stay unreadable. Lasting keys come from
    outside (`add`), because they must survive a restart. Safe to share between threads.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        epoch_s: float = 300.0,
        linger_s: float = 60.0,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._clock = clock
        self._epoch_s = epoch_s
        self._linger_s = linger_s
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._keys: dict[str, DataKey] = {}
        self._epoch: dict[str, DataKey] = {}
        self._lasting: dict[str, DataKey] = {}

    def open(self, scope: str, lasting: DataKey | None = None) -> None:
        """Allow keys for `scope`; `lasting` is its key for what outlives the epochs."""
        with self._lock:
            if scope not in self._epoch:
                self._epoch[scope] = self._new_epoch(scope)
            if lasting is not None:
                self._lasting[scope] = lasting
                self._keys[lasting.key_id] = lasting

    def close(self, scope: str, *, keep_lasting: bool = False) -> None:
        """Destroy the epoch keys of `scope`, and its lasting key unless asked to keep it."""
        with self._lock:
            self._epoch.pop(scope, None)
            kept = self._lasting.get(scope) if keep_lasting else self._lasting.pop(scope, None) and None
            self._keys = {
                key_id: key
                for key_id, key in self._keys.items()
                if key.scope != scope or (kept is not None and key_id == kept.key_id)
            }

    def current(self, scope: str, kind: KeyKind) -> DataKey:
        """See KeySource."""
        with self._lock:
            self._drop_expired()
            if kind == "lasting":
                if scope not in self._lasting:
                    raise KeyGone(f"no lasting key for {scope}")
                return self._lasting[scope]
            if scope not in self._epoch:
                raise KeyGone(f"{scope} is not open")
            key = self._epoch[scope]
            if key.not_after_s is not None and self._clock.now_s() >= key.not_after_s - self._linger_s:
                key = self._epoch[scope] = self._new_epoch(scope)
            return key

    def by_id(self, key_id: str) -> DataKey:
        """See KeySource."""
        with self._lock:
            self._drop_expired()
            if key_id not in self._keys:
                raise KeyGone("the key of this payload was destroyed")
            return self._keys[key_id]

    def key_ids(self) -> frozenset[str]:
        """Ids of the keys that still exist: what an erasure certificate counts."""
        with self._lock:
            self._drop_expired()
            return frozenset(self._keys)

    def _new_epoch(self, scope: str) -> DataKey:
        key = DataKey(
            key_id=f"{scope}/epoch/{self._random_bytes(8).hex()}",
            scope=scope,
            secret=self._random_bytes(KEY_BYTES),
            not_after_s=self._clock.now_s() + self._epoch_s + self._linger_s,
        )
        self._keys[key.key_id] = key
        return key

    def _drop_expired(self) -> None:
        now_s = self._clock.now_s()
        gone = [k.key_id for k in self._keys.values() if k.not_after_s is not None and k.not_after_s <= now_s]
        for key_id in gone:
            del self._keys[key_id]
