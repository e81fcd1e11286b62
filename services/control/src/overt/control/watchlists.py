"""Lists of people: begun, filled in whole steps, read by judges, erased."""

import hashlib
import hmac
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from overt.control.errors import ListErased, ListInUse, Unknown, WrongPack
from overt.control.keys import ControlKeys
from overt.control.policy import Category, WatchlistFacts, is_useless
from overt.control.register import OrderRegister
from overt.control.watchlist_store import Listed, WatchlistStore
from overt.recognition.gallery import Gallery
from overt.recognition.pack import PackInfo
from overt.recognition.protect import Rotation
from overt.runtime.clock import Clock
from overt.runtime.envelope import DataKey, seal, unseal

log = structlog.get_logger()

PICTURES_TOPIC = "watchlist.pictures"


@dataclass(frozen=True, slots=True)
class EntryCard:
    """What a judge sees of an entry. `picture_jpeg` is its best reference portrait."""

    label: str
    category: str
    picture_jpeg: bytes


@dataclass(frozen=True, slots=True)
class Reference:
    """One accepted picture: its template (D float32, unit length) and its portrait."""

    entry_id: str
    label: str
    digest: str
    quality: int
    template_D: NDArray[np.float32]
    portrait_jpeg: bytes


@dataclass(frozen=True, slots=True)
class Watchlists:
    """Lists by id. Every change holds `lock`, which the deployments share: no list grows under an order."""

    store: WatchlistStore
    gallery: Gallery
    keys: ControlKeys
    register: OrderRegister
    pack: PackInfo
    clock: Clock
    lock: threading.RLock

    def restore(self) -> None:
        """After a start: give out the keys of every list that was not erased."""
        with self.lock:
            for watchlist_id, _ in self.store.kept():
                self.keys.open_watchlist(watchlist_id)

    def begin(self, watchlist_id: str) -> None:
        """Make the list if there is none. Raises ListErased, WrongPack."""
        with self.lock:
            found = self.store.find(watchlist_id)
            if found is None:
                self.store.create(watchlist_id, self.pack.fingerprint, self.clock.now_s())
            else:
                self._require_usable(watchlist_id, *found)
            self.keys.open_watchlist(watchlist_id)
            if not self.gallery.exists(watchlist_id, self.pack.fingerprint):
                self.gallery.create(watchlist_id, self.pack.fingerprint, self.pack.dimension)

    def digest(self, watchlist_id: str, picture: bytes) -> str:
        """The keyed hash by which a repeated import of a file is known, while the list's key exists."""
        secret = _derive(self.keys.pictures(watchlist_id).secret, b"overt picture digest")
        return hmac.new(secret, picture, hashlib.sha256).hexdigest()

    def facts(self, watchlist_id: str) -> WatchlistFacts | None:
        """What the rules look at; None for an unknown or erased list."""
        return self.store.facts(watchlist_id)

    def labels(self, watchlist_id: str) -> Mapping[str, str]:
        """Label of every entry, by entry id."""
        return self.store.labels(watchlist_id)

    def enrolled_as(self, watchlist_id: str, digest: str) -> str | None:
        """The entry that this very picture is enrolled under, if any."""
        return self.store.enrolled_as(watchlist_id, digest)

    def refresh(self, watchlist_id: str, entry_id: str, category: Category) -> None:
        """Note that an entry was imported again, unchanged."""
        with self.lock:
            self.store.refresh(watchlist_id, entry_id, category=category, at_s=self.clock.now_s())

    def add(self, watchlist_id: str, references: Sequence[Reference], category: Category) -> None:
        """Enrol pictures: database, gallery, database; a crash in between is mended by importing again.

        Raises ListInUse, ListErased, WrongPack.
        """
        if not references:
            return
        with self.lock:
            running = self.register.on_watchlist(watchlist_id, running=True)
            if running:
                raise ListInUse(
                    f"watchlist {watchlist_id} is in use by deployment {running[0]}: end it first"
                )
            self._require_usable(watchlist_id, *(self.store.find(watchlist_id) or ("", None)))
            listed = [self._listed(watchlist_id, one, category) for one in references]
            self.store.announce(watchlist_id, listed, self.clock.now_s())
            self._add_templates(watchlist_id, references)
            self.store.confirm(watchlist_id, listed)

    def card(self, watchlist_id: str, entry_id: str) -> EntryCard:
        """What a judge sees of an entry. Raises Unknown, also once the list was erased."""
        stored = self.store.card(watchlist_id, entry_id)
        key = self.keys.find_pictures(watchlist_id)
        if stored is None or key is None:
            raise Unknown(f"watchlist {watchlist_id} has no entry {entry_id}")
        portrait = unseal(
            stored.sealed,
            _portrait_key(key),
            topic=PICTURES_TOPIC,
            record_key=_record_key(watchlist_id, entry_id),
        )
        return EntryCard(stored.label, stored.category, portrait)

    def erase(self, watchlist_id: str) -> None:
        """Delete templates, pictures, labels and keys of a list. Raises Unknown, ListInUse.

        In an order that a crash can't spoil: the list counts as erased only when everything is gone.
        """
        with self.lock:
            found = self.store.find(watchlist_id)
            if found is None:
                raise Unknown(f"there is no watchlist {watchlist_id}")
            running = self.register.on_watchlist(watchlist_id, running=True)
            if running:
                raise ListInUse(
                    f"watchlist {watchlist_id} is in use by deployment {running[0]}: end it first"
                )
            if found[1] is None:
                self.gallery.drop(watchlist_id, found[0])
                self.keys.forget_watchlist(watchlist_id)
                self.store.erase(watchlist_id, self.clock.now_s())
                log.info("watchlist erased", watchlist_id=watchlist_id)

    def erase_what_is_over(self) -> tuple[str, ...]:
        """Erase every list whose last deployment has ended, or on which none can start; returns which.

        Raises GalleryUnavailable; then what is left is still over, for the next call.
        """
        with self.lock:
            over = [(w, fingerprint) for w, fingerprint in self.store.kept() if self._is_over(w)]
        erased = []
        for watchlist_id, fingerprint in over:
            # A gallery that is away is waited for here, without the lock: a stop is not to wait with it.
            self.gallery.exists(watchlist_id, fingerprint)
            with self.lock:
                if self._is_over(watchlist_id):
                    self.erase(watchlist_id)
                    erased.append(watchlist_id)
        return tuple(erased)

    def _is_over(self, watchlist_id: str) -> bool:
        if self.register.on_watchlist(watchlist_id, running=True):
            return False
        facts = self.store.facts(watchlist_id)
        ended = self.register.on_watchlist(watchlist_id, running=False)
        return bool(ended) or (facts is not None and is_useless(facts, self.clock.now_s()))

    def _require_usable(self, watchlist_id: str, fingerprint: str, erased_at_s: float | None) -> None:
        if erased_at_s is not None:
            raise ListErased(f"watchlist {watchlist_id} was erased, its id is not used again: take another")
        if fingerprint != self.pack.fingerprint:
            raise WrongPack(watchlist_id, fingerprint, self.pack.fingerprint)

    def _listed(self, watchlist_id: str, one: Reference, category: Category) -> Listed:
        sealed = seal(
            one.portrait_jpeg,
            _portrait_key(self.keys.pictures(watchlist_id)),
            topic=PICTURES_TOPIC,
            record_key=_record_key(watchlist_id, one.entry_id),
        )
        return Listed(one.entry_id, one.label, category, one.digest, one.quality, sealed)

    def _add_templates(self, watchlist_id: str, references: Sequence[Reference]) -> None:
        key = self.keys.open_watchlist(watchlist_id)
        self.gallery.add(
            watchlist_id,
            self.pack.fingerprint,
            entry_ids=[one.entry_id for one in references],
            templates_ND=np.stack([one.template_D for one in references]),
            rotation=Rotation.from_key(key.secret, self.pack.dimension),
        )


def _record_key(watchlist_id: str, entry_id: str) -> bytes:
    return f"{watchlist_id}/{entry_id}".encode()


def _portrait_key(key: DataKey) -> DataKey:
    return DataKey(key.key_id, key.scope, _derive(key.secret, b"overt reference pictures"), None)


def _derive(secret: bytes, use: bytes) -> bytes:
    """One key, one use (NIST SP 800-108): HKDF-SHA256 (RFC 5869) under a name."""
    return HKDF(SHA256(), 32, salt=None, info=use).derive(secret)
