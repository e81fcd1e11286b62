"""What the pages know of deployments: which order is in force, until when, and how many faces were seen."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from overt.contracts.context import Orders
from overt.contracts.orders import Order
from overt.runtime.clock import Clock

FACES_METRIC = "overt_detect_tracks"


@dataclass(frozen=True, slots=True)
class Standing:
    """`active` orders are in force now; `latest` is the newest order when none is."""

    active: tuple[Order, ...]
    latest: Order | None
    faces_seen: int | None

    @property
    def key(self) -> str:
        """Changes when a page has to be drawn again (a face more is only a number on it)."""
        orders = self.active or ((self.latest,) if self.latest else ())
        return " ".join(f"{o.deployment_id}.{o.revision}.{o in self.active}" for o in orders)


class Board:
    """Keeps an order book of the pages' own, behind a lock: pages are drawn in many threads."""

    def __init__(self, orders: Orders, clock: Clock, faces_seen: Callable[[], int | None]) -> None:
        self._orders = orders
        self._clock = clock
        self._faces_seen = faces_seen
        self._lock = threading.Lock()

    def standing(self) -> Standing:
        """Return how things stand now."""
        with self._lock:
            self._orders.feed.poll()
            known = list(self._orders.book.known().values())
        now_s = self._clock.now_s()
        active = tuple(sorted((o for o in known if o.is_active(now_s)), key=lambda o: o.starts_at_s))
        latest = max(known, key=lambda o: o.issued_at_s, default=None) if not active else None
        return Standing(active, latest, self._faces_seen())

    def is_active(self, deployment_id: str) -> bool:
        """Whether an order of this deployment is in force."""
        return deployment_id in (order.deployment_id for order in self.standing().active)


def faces_seen_in(registry: CollectorRegistry) -> Callable[[], int | None]:
    """Return a reader of detect's count, which exists when detect runs in this process."""

    def read() -> int | None:
        counted = [
            sample.value
            for family in registry.collect()
            if family.name == FACES_METRIC
            for sample in family.samples
            if sample.name.endswith("_total")
        ]
        return int(sum(counted)) if counted else None

    return read
