"""A match service's surroundings in one process, made-up templates, and watchlists without a gallery."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import Box, MatchMade, Shot, TemplateMade
from overt.contracts.orders import Order, sign
from overt.contracts.topics import DEPLOYMENTS, MATCHES
from overt.contracts.wire import Out, memory_topics
from overt.match.core import MatchCore
from overt.match.metrics import MatchMetrics
from overt.recognition.errors import GalleryError
from overt.recognition.gallery import Hit
from overt.recognition.protect import Rotation
from overt.runtime.clock import ManualClock
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyRing
from overt.runtime.loop import Unavailable
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker

NOW_S = 1_700_000_000.0
OWN = "a" * 64
OTHER = "b" * 64
ORDER = Order(
    deployment_id="d1",
    revision=1,
    state="active",
    purpose="protective_event",
    place="North gate",
    starts_at_s=NOW_S - 60,
    ends_at_s=NOW_S + 3600,
    camera_ids=("cam-1",),
    watchlist_id="w1",
    watchlist_size=1,
    fingerprint=OWN,
    threshold=0.5,
    issued_at_s=NOW_S - 120,
)
JPEG = b"\xff\xd8\xff\xe0drawn\xff\xd9"


def direction(first: float) -> NDArray[np.float32]:
    """A unit template whose cosine with the first axis is `first`."""
    return np.array([first, (1 - first * first) ** 0.5, 0, 0], np.float32)


def lasting(scope: str, fill: int = 7) -> DataKey:
    """A key that lasts, of one byte repeated."""
    return DataKey(f"{scope}/lasting/{fill}", scope, bytes([fill]) * 32, None)


class FakeWatchlists:
    """Two entries along the first two axes, searched the slow way, with what was asked kept."""

    references: ClassVar = {"e1": direction(1.0), "e2": direction(0.0)}

    def __init__(self) -> None:
        self.searches: list[tuple[str, int]] = []
        self.rotations: list[Rotation] = []
        self.failure: GalleryError | Unavailable | None = None

    def search(
        self,
        order: Order,
        probes_ND: NDArray[np.float32],
        rotation: Rotation,
    ) -> list[list[Hit]]:
        if self.failure is not None:
            raise self.failure
        self.searches.append((order.watchlist_id, len(probes_ND)))
        self.rotations.append(rotation)
        return [self._above(probe, order.threshold) for probe in probes_ND]

    def _above(self, probe: NDArray[np.float32], threshold: float) -> list[Hit]:
        hits = [Hit(name, float(row @ probe)) for name, row in self.references.items()]
        return sorted((hit for hit in hits if hit.similarity >= threshold), key=lambda hit: -hit.similarity)


@dataclass
class World:
    """A service's surroundings in one process, with a clock that moves only when told."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_S))
    order_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.keys = KeyRing(self.clock)
        self.keys.open("d1", lasting("d1"))
        self.keys.open("watchlist.w1", lasting("watchlist.w1"))
        self.watchlists = FakeWatchlists()
        self.broker = MemoryBroker(memory_topics(), self.clock)
        self.context = Context(
            self.broker,
            self.keys,
            self.order_key.public_key(),
            self.clock,
            registry := CollectorRegistry(),
            LoopCollectors(registry),
        )
        # The core here counts in `registry`, a service that is built counts in the context's.
        self.orders = self.context.orders("match")
        self.core = MatchCore(
            self.watchlists,
            keys=self.keys,
            orders=self.orders.book,
            metrics=MatchMetrics(self.registry),
        )

    def publish(self, order: Order, key: Ed25519PrivateKey | None = None) -> None:
        """Put an order on its topic and let the service read it."""
        value = encode(DEPLOYMENTS, sign(order, key or self.order_key))
        self.broker.producer().produce(DEPLOYMENTS.name, order.deployment_id.encode(), value)
        self.orders.feed.poll()

    def outs(self, *templates: TemplateMade) -> list[Out]:
        return list(self.core.handle(templates))

    def handle(self, *templates: TemplateMade) -> list[MatchMade]:
        outs = self.outs(*templates)
        assert all(out.topic is MATCHES for out in outs)
        return [out.message for out in outs if isinstance(out.message, MatchMade)]

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"overt_match_{name}_total", labels) or 0.0

    def dropped(self, reason: str) -> float:
        return self.count("templates_dropped", reason=reason)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_order() -> Callable[..., Order]:
    """Makes the order that covers `cam-1` now; keywords change it."""

    def make(**changes: object) -> Order:
        return msgspec.structs.replace(ORDER, **changes)

    return make


@pytest.fixture
def make_template() -> Callable[..., TemplateMade]:
    """Makes the template whose cosine with entry e1 is given; keywords change the message or its shot."""

    def make(similarity: float = 0.9, **changes: object) -> TemplateMade:
        shot = Shot(
            camera_id="cam-1",
            track_id="t1",
            number=1,
            captured_at_ns=int(NOW_S * 1e9),
            read_at_ns=int(NOW_S * 1e9),
            box=Box(10, 10, 50, 60),
            landmarks_px=(20, 30, 40, 30, 30, 40, 22, 50, 38, 50),
            quality=80,
            crop_side_px=112,
            crop_rgb=bytes([int(abs(similarity) * 100)]) * (112 * 112 * 3),
            portrait_jpeg=JPEG,
            context_jpeg=JPEG,
        )
        of_shot = {name: value for name, value in changes.items() if name in Shot.__struct_fields__}
        of_template = {name: value for name, value in changes.items() if name not in of_shot}
        message = TemplateMade(
            deployment_id="d1",
            fingerprint=OWN,
            dimension=4,
            template=direction(similarity).astype("<f4").tobytes(),
            shot=msgspec.structs.replace(shot, **of_shot),
        )
        return msgspec.structs.replace(message, **of_template)

    return make
