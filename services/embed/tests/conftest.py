from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from overt.contracts.context import Context
from overt.contracts.messages import Box, FaceFound, Shot
from overt.contracts.orders import Order
from overt.contracts.wire import memory_topics
from overt.runtime.clock import ManualClock
from overt.runtime.keys import KeyRing
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker
from prometheus_client import CollectorRegistry

NOW_S = 1_700_000_000.0
OWN = "a" * 64
OTHER = "b" * 64
JPEG = b"\xff\xd8\xff\xe0drawn\xff\xd9"


@dataclass
class World:
    """A service's surroundings in one process, with a clock that moves only when told."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_S))
    order_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.keys = KeyRing(self.clock)
        self.keys.open("d1")
        self.broker = MemoryBroker(memory_topics(), self.clock)
        self.context = Context(
            self.broker,
            self.keys,
            self.order_key.public_key(),
            self.clock,
            self.registry,
            LoopCollectors(self.registry),
        )

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def order() -> Order:
    return Order(
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


@pytest.fixture
def face() -> Callable[..., FaceFound]:
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
        message = FaceFound(deployment_id="d1", fingerprint=OWN, shot=msgspec.structs.replace(shot, **of_shot))
        return msgspec.structs.replace(message, **of_face)

    return make


class FakeEmbedder:
    """A template is the unit vector along the crop's first value: told apart without a model."""

    dimension = 4

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, crops_NHWC: np.ndarray) -> np.ndarray:  # noqa: N803
        self.batches.append(len(crops_NHWC))
        rows_ND = np.zeros((len(crops_NHWC), self.dimension), np.float32)  # noqa: N806
        for row, crop in zip(rows_ND, crops_NHWC, strict=True):
            row[int(crop[0, 0, 0]) % self.dimension] = 1.0
        return rows_ND


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()
