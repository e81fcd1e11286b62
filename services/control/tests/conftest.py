"""A control with an in-process broker, a clock that is told, a gallery in memory and pictures made of words."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from overt.contracts.codec import decode
from overt.contracts.orders import Order, SignedOrder, verify
from overt.contracts.topics import DEPLOYMENTS
from overt.contracts.wire import memory_topics
from overt.control import service
from overt.control.control import Control
from overt.control.examiner import Examined, Examiner, Refused
from overt.control.policy import OrderDraft
from overt.control.service import ControlOptions, World, build
from overt.recognition.calibration import Calibration, OperatingPoint
from overt.recognition.gallery import Gallery
from overt.recognition.pack import Pack, PackInfo
from overt.recognition.protect import Rotation
from overt.runtime.broker import Broker
from overt.runtime.clock import ManualClock
from overt.runtime.health import Health
from overt.runtime.memory import MemoryBroker

NOW_S = 1_700_000_000.0
DIMENSION = 8
FINGERPRINT = "a" * 64
FLOOR = 0.4

Templates = NDArray[np.float32]


class Crash(BaseException):
    """The process died here."""


@dataclass
class MemoryGallery:
    """Keeps what a Gallery is told; `crash_after_add` dies when the templates stand and nobody knows it."""

    collections: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    crash_after_add: bool = False

    def exists(self, watchlist_id: str, fingerprint: str) -> bool:
        return (watchlist_id, fingerprint) in self.collections

    def create(self, watchlist_id: str, fingerprint: str, dimension: int) -> None:
        assert not self.exists(watchlist_id, fingerprint)
        self.collections[watchlist_id, fingerprint] = {}

    def add(
        self,
        watchlist_id: str,
        fingerprint: str,
        *,
        entry_ids: Any,
        templates_ND: Templates,
        rotation: Rotation,
    ) -> None:
        collection = self.collections[watchlist_id, fingerprint]
        for entry_id, template_D in zip(entry_ids, templates_ND, strict=True):
            collection[f"{entry_id}/{hashlib.sha256(template_D.tobytes()).hexdigest()}"] = template_D
        if self.crash_after_add:
            raise Crash

    def drop(self, watchlist_id: str, fingerprint: str) -> None:
        self.collections.pop((watchlist_id, fingerprint), None)


class WordExaminer(Examiner):
    """Knows a picture of the form `face NAME`; the text after `refuse ` is the reason."""

    def examine(self, content: bytes) -> Examined | Refused:
        kind, _, rest = content.decode().partition(" ")
        if kind != "face":
            return Refused(rest)
        seed = int.from_bytes(hashlib.sha256(content).digest()[:4], "big")
        template_D = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
        portrait = b"\xff\xd8\xff portrait of " + content + b"\xff\xd9"
        return Examined(template_D / np.linalg.norm(template_D), portrait, 70 + len(rest) % 20)


@dataclass
class Bench:
    """Everything around one control, which can die and be started again on what it left."""

    folder: Path
    clock: ManualClock
    gallery: MemoryGallery
    pictures: Path
    broker: MemoryBroker
    health: Health = field(default_factory=Health)
    options: Callable[[ControlOptions], ControlOptions] = field(default=lambda options: options)
    fingerprint: str = FINGERPRINT
    running: Control | None = None

    def start(self, broker: Broker | None = None) -> Control:
        """Start control, after stopping the one that runs, if any."""
        self.stop()
        pack = Pack(
            info=dataclasses.replace(PACK_INFO, fingerprint=self.fingerprint),
            detector=cast("Any", None),
            aligner=cast("Any", None),
            embedder=cast("Any", None),
        )
        world = World(broker or self.broker, self.clock, CollectorRegistry(), self.health)
        self.running = build(
            self.options(ControlOptions(self.folder)), world, pack=pack, gallery=cast("Gallery", self.gallery)
        )
        return self.running

    def stop(self) -> None:
        if self.running is not None:
            self.running.close()
            self.running = None

    def write(self, **pictures: str) -> Path:
        """Write a folder of word pictures: name to content."""
        self.pictures.mkdir(exist_ok=True)
        for name, content in pictures.items():
            (self.pictures / f"{name}.jpg").write_text(content)
        return self.pictures

    def published(self, control: Control) -> list[Order]:
        """Every order on the topic, verified."""
        return [
            verify(cast("SignedOrder", decode(DEPLOYMENTS, record.value or b"")), control.order_key)
            for record in self.broker.table(DEPLOYMENTS.name).poll()
        ]

    def bytes_on_disk(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


PACK_INFO = PackInfo(
    name="words",
    fingerprint=FINGERPRINT,
    dimension=DIMENSION,
    crop_size_px=112,
    licences=(),
    calibration=Calibration(
        default_threshold=0.5,
        data_set="words",
        points=(OperatingPoint(FLOOR, 1_000, 0.001, 0.002, 0.9, 0.8),),
    ),
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(service, "Examiner", WordExaminer)
    clock = ManualClock(NOW_S)
    bench = Bench(
        folder=tmp_path / "data",
        clock=clock,
        gallery=MemoryGallery(),
        pictures=tmp_path / "pictures",
        broker=MemoryBroker(memory_topics(), clock),
    )
    yield bench
    bench.stop()


@pytest.fixture
def draft() -> OrderDraft:
    return OrderDraft(
        deployment_id="d1",
        purpose="protective_event",
        place="Station square",
        starts_at_s=NOW_S,
        ends_at_s=NOW_S + 3600,
        camera_ids=("north", "south"),
        watchlist_id="w1",
        threshold=0.5,
    )
