"""An embed service's surroundings in one process, made-up crops, and an embedder without a model."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import Box, FaceFound, Shot, TemplateMade
from overt.contracts.orders import Order, sign
from overt.contracts.topics import DEPLOYMENTS
from overt.contracts.wire import memory_topics
from overt.embed.core import EmbedCore
from overt.embed.metrics import EmbedMetrics
from overt.embed.tracks import Tracks
from overt.recognition.pack import pack_info
from overt.runtime.clock import ManualClock
from overt.runtime.keys import KeyRing
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


class FakeEmbedder:
    """A template is the unit vector along the crop's first value: told apart without a model."""

    dimension = 4

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.broken: int | None = None

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(crops_NHWC))
        rows_ND = np.zeros((len(crops_NHWC), self.dimension), np.float32)
        for row, crop in zip(rows_ND, crops_NHWC, strict=True):
            grey = int(crop[0, 0, 0])
            row[grey % self.dimension] = np.nan if grey == self.broken else 1.0
        return rows_ND


@dataclass
class World:
    """A service's surroundings in one process, with a clock that moves only when told."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_S))
    order_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.keys = KeyRing(self.clock)
        self.keys.open("d1")
        self.embedder = FakeEmbedder()
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
        self.orders = self.context.orders("embed")
        info = dataclasses.replace(pack_info("cpu"), fingerprint=OWN, dimension=4)
        metrics = EmbedMetrics(self.registry)
        self.tracks = Tracks(self.clock.monotonic_s)
        self.core = EmbedCore(
            info, self.embedder, orders=self.orders.book, metrics=metrics, tracks=self.tracks
        )

    def publish(self, order: Order, key: Ed25519PrivateKey | None = None) -> None:
        """Put an order on its topic and let the service read it."""
        value = encode(DEPLOYMENTS, sign(order, key or self.order_key))
        self.broker.producer().produce(DEPLOYMENTS.name, order.deployment_id.encode(), value)
        self.orders.feed.poll()

    def handle(self, *faces: FaceFound) -> list[TemplateMade]:
        outs = list(self.core.handle(faces))
        assert all((out.topic.name, out.key) == ("templates.v1", "cam-1") for out in outs)
        return [out.message for out in outs if isinstance(out.message, TemplateMade)]

    def made(self) -> float:
        return self.registry.get_sample_value("overt_embed_templates_total") or 0.0

    def dropped(self, reason: str) -> float:
        labels = {"reason": reason}
        return self.registry.get_sample_value("overt_embed_faces_dropped_total", labels) or 0.0


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
def make_face() -> Callable[..., FaceFound]:
    """Makes a face whose crop is one grey; keywords change the message or its shot."""

    def make(grey: int = 100, **changes: object) -> FaceFound:
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
            crop_rgb=bytes([grey]) * (112 * 112 * 3),
            portrait_jpeg=JPEG,
            context_jpeg=JPEG,
        )
        of_shot = {name: value for name, value in changes.items() if name in Shot.__struct_fields__}
        of_face = {name: value for name, value in changes.items() if name not in of_shot}
        message = FaceFound(
            deployment_id="d1", fingerprint=OWN, shot=msgspec.structs.replace(shot, **of_shot)
        )
        return msgspec.structs.replace(message, **of_face)

    return make
