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

    def forget(self, scope: str) -> None:
        """Drop what is held of a scope that is over; whoever made the keys decides what still exists."""


class KeyRing:
    """Makes epoch keys, holds them in memory only, and destroys them on time.

    A scope must be opened before keys exist for it; closing it destroys its keys at once. An epoch lasts
    `epoch_s`; its key is kept `linger_s` longer for what is still on its way, then dropped: by every call,
    and by `expire` for a ring that nobody calls. Ids carry random bits, so a restart starts a new epoch and
    old payloads stay unreadable. Lasting keys come from outside (`open`), because they must survive a
    restart. Safe to share between threads.
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
        self._open: set[str] = set()
        self._keys: dict[str, DataKey] = {}
        # Ids only: a secret stands in one place, so dropping it there is dropping it.
        self._current: dict[tuple[str, KeyKind], str] = {}

    def open(self, scope: str, lasting: DataKey | None = None) -> None:
        """Allow keys for `scope`; `lasting` is its key for what outlives the epochs."""
        if lasting is not None and lasting.scope != scope:
            raise ValueError(f"key {lasting.key_id} belongs to {lasting.scope}, not to {scope}")
        with self._lock:
            self._open.add(scope)
            if lasting is not None:
                self._keys[lasting.key_id] = lasting
                self._current[scope, "lasting"] = lasting.key_id

    def close(self, scope: str, *, keep_lasting: bool = False) -> None:
        """Destroy the epoch keys of `scope`, and its lasting key unless asked to keep it."""
        with self._lock:
            self._open.discard(scope)
            self._current.pop((scope, "epoch"), None)
            if not keep_lasting:
                self._current.pop((scope, "lasting"), None)
            kept = self._current.get((scope, "lasting"))
            self._keys = {i: key for i, key in self._keys.items() if key.scope != scope or i == kept}

    def current(self, scope: str, kind: KeyKind) -> DataKey:
        """See KeySource."""
        with self._lock:
            self._drop_expired()
            key = self._keys.get(self._current.get((scope, kind), ""))
            if kind == "lasting":
                if key is None:
                    raise KeyGone(f"no lasting key for {scope}")
                return key
            if scope not in self._open:
                raise KeyGone(f"{scope} is not open")
            if key is None or self._clock.now_s() >= (self.current_until_s(key) or 0.0):
                key = self._new_epoch(scope)
            return key

    def current_until_s(self, key: DataKey) -> float | None:
        """When `current` stops handing out `key` (UNIX time, UTC); None for a lasting key."""
        return None if key.not_after_s is None else key.not_after_s - self._linger_s

    def by_id(self, key_id: str) -> DataKey:
        """See KeySource."""
        with self._lock:
            self._drop_expired()
            if key_id not in self._keys:
                raise KeyGone("the key of this payload was destroyed")
            return self._keys[key_id]

    def forget(self, scope: str) -> None:
        """Nothing to do: this ring made the keys, and whoever closes the scope destroys them."""

    def key_ids(self) -> frozenset[str]:
        """Ids of the keys that still exist: what an erasure certificate counts."""
        with self._lock:
            self._drop_expired()
            return frozenset(self._keys)

    def expire(self) -> None:
        """Destroy every key that is past its time; call it by a timer, for when nobody asks for a key."""
        with self._lock:
            self._drop_expired()

    def _new_epoch(self, scope: str) -> DataKey:
        key = DataKey(
            key_id=f"{scope}/epoch/{self._random_bytes(8).hex()}",
            scope=scope,
            secret=self._random_bytes(KEY_BYTES),
            not_after_s=self._clock.now_s() + self._epoch_s + self._linger_s,
        )
        self._keys[key.key_id] = key
        self._current[scope, "epoch"] = key.key_id
        return key

    def _drop_expired(self) -> None:
        now_s = self._clock.now_s()
        self._keys = {
            i: key for i, key in self._keys.items() if key.not_after_s is None or now_s < key.not_after_s
        }
