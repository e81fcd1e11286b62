"""Control as one object: what the command line uses in process and the HTTP API offers to other processes."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from overt.contracts.orders import Order
from overt.control.deployments import Deployments, Evidence
from overt.control.enrolment import Enrolment, EnrolmentReport, Progress
from overt.control.folder_lock import FolderLock
from overt.control.keys import ControlKeys
from overt.control.metrics import ControlMetrics
from overt.control.policy import Category, OrderDraft, threshold_floor
from overt.control.register import OrderRegister
from overt.control.watchlists import EntryCard, Watchlists
from overt.recognition.errors import GalleryUnavailable
from overt.recognition.pack import PackInfo
from overt.runtime.clock import Clock
from overt.runtime.health import Health
from overt.runtime.keys import KeyRing

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parts:
    """What Control is made of; service.py puts it together."""

    engine: Engine
    folder: FolderLock
    register: OrderRegister
    keys: ControlKeys
    deployments: Deployments
    watchlists: Watchlists
    enrolment: Enrolment
    pack: PackInfo
    clock: Clock
    health: Health
    metrics: ControlMetrics


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


class Control:
    """Deployment orders, watchlists and keys. Safe to share between threads."""

    def __init__(self, parts: Parts, *, tick_s: float) -> None:
        self._parts = parts
        self._tick_s = tick_s

    @property
    def keys(self) -> KeyRing:
        """The keys that services are given: a KeySource."""
        return self._parts.keys.ring

    @property
    def order_key(self) -> Ed25519PublicKey:
        """The key that every service verifies orders with."""
        return self._parts.register.public_key

    @property
    def metrics(self) -> ControlMetrics:
        """What is counted."""
        return self._parts.metrics

    def enrol_folder(
        self, folder: Path, watchlist_id: str, *, category: Category, progress: Progress = no_progress
    ) -> EnrolmentReport:
        """Enrol a folder of pictures. Raises EnrolmentError."""
        return self._parts.enrolment.enrol_folder(folder, watchlist_id, category=category, progress=progress)

    def enrol_picture(
        self, picture: bytes, watchlist_id: str, *, label: str, category: Category
    ) -> EnrolmentReport:
        """Enrol one picture. Raises EnrolmentError."""
        return self._parts.enrolment.enrol_picture(picture, watchlist_id, label=label, category=category)

    def entry_card(self, watchlist_id: str, entry_id: str) -> EntryCard:
        """What a judge sees of an entry. Raises Unknown."""
        return self._parts.watchlists.card(watchlist_id, entry_id)

    def kept_watchlists(self) -> tuple[str, ...]:
        """Ids of the lists that were not erased yet."""
        return tuple(watchlist_id for watchlist_id, _ in self._parts.watchlists.store.kept())

    def erase_watchlist(self, watchlist_id: str) -> None:
        """Delete a list that no deployment uses. Raises Unknown, ListInUse."""
        self._parts.watchlists.erase(watchlist_id)

    def issue_order(self, draft: OrderDraft) -> Order:
        """Make a draft an order, sign and publish it. Raises DraftRefused with every broken rule."""
        with self._parts.deployments.lock:
            facts = self._parts.watchlists.facts(draft.watchlist_id)
            floor = threshold_floor(self._parts.pack.calibration, 0 if facts is None else facts.size)
            evidence = Evidence(self._parts.pack.fingerprint, floor)
            return self._parts.deployments.issue(draft, facts, evidence)

    def stop(self, deployment_id: str) -> Order:
        """Stop capture now; the list and its pictures stay until the end. Raises Unknown."""
        return self._parts.deployments.stop(deployment_id)

    def end(self, deployment_id: str) -> Order:
        """End a deployment and erase its list, unless another one still uses it. Raises Unknown.

        A list that can't be erased now, since the gallery does not answer, is erased by a later tick.
        """
        order = self._parts.deployments.end(deployment_id)
        self._erase_what_is_over()
        return order

    def orders(self) -> Mapping[str, Order]:
        """The newest revision of every order, by deployment id."""
        return self._parts.register.current()

    def forget(self, scope: str) -> bool:
        """Destroy the keys of a scope: what they sealed is noise from then on."""
        return self._parts.keys.forget(scope)

    def tick(self) -> None:
        """Do what time asks for: end orders, publish what was not confirmed, erase lists, destroy old keys."""
        self._parts.deployments.end_what_is_over()
        left = self._parts.deployments.publish_or_leave()
        self._erase_what_is_over()
        problem = f"{left} revisions of orders are not published" if left else None
        self._parts.health.set("orders", problem)
        now_s = self._parts.clock.now_s()
        active = sum(order.is_active(now_s) for order in self.orders().values())
        self.metrics.orders_active.set(active)
        self.metrics.keys_held.set(len(self.keys.key_ids()))

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop`. A runner.

        A database that fails is said to /readyz and tried again: the keys of the epochs live in this process
        alone, and with it they would be lost to everybody.
        """
        while not stop.is_set():
            try:
                self.tick()
                self._report("database", None)
            except OperationalError as error:
                self._report("database", f"the database does not answer: {type(error.orig).__name__}")
            stop.wait(self._tick_s)

    def _erase_what_is_over(self) -> None:
        """Erase the lists that are over, or leave them for the next tick while the gallery does not answer."""
        try:
            self._parts.watchlists.erase_what_is_over()
            self._report("erasure", None)
        except GalleryUnavailable as error:
            self._report("erasure", f"a list that is over is not erased yet: {error}")

    def _report(self, part: str, problem: str | None) -> None:
        health = self._parts.health
        if problem is not None and part not in health.problems():
            log.error("will be tried again", service="control", part=part, reason=problem)
        health.set(part, problem)

    def close(self) -> None:
        """Let go of the database and of the data folder. Keys in memory are lost: payloads stay sealed."""
        self._parts.engine.dispose()
        self._parts.folder.release()
