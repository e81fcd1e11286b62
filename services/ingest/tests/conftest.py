import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import CaptureEnded, FrameCaptured
from overt.contracts.orders import Order, sign
from overt.contracts.topics import DEPLOYMENTS, FRAMES
from overt.contracts.wire import TopicWire, memory_topics
from overt.ingest.camera import open_source
from overt.ingest.decoder import StartDecoder
from overt.ingest.picture import OpenSource
from overt.ingest.service import Ingest, build
from overt.ingest.settings import CameraOptions, IngestOptions
from overt.runtime.clock import SystemClock
from overt.runtime.health import Health
from overt.runtime.keys import KeyRing
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker

from .clips import write_clip
from .rtsp_camera import RtspCamera
from .threads import DecoderThread

PATIENCE_S = 60.0
CAMERA = "cam-1"

Seen = FrameCaptured | CaptureEnded


class World:
    """Ingest's surroundings in one process, and what it produced."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.order_key = Ed25519PrivateKey.generate()
        self.registry = CollectorRegistry()
        self.health = Health()
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
        self.seen: list[Seen] = []
        self.options: dict[str, Any] = {}
        self._wire: TopicWire[Seen] = TopicWire(FRAMES, self.keys)
        self._consumer = self.broker.consumer("detect", [FRAMES.name])

    def order(self, **changes: object) -> Order:
        now_s = self.clock.now_s()
        order = Order(
            deployment_id="d1",
            revision=1,
            state="active",
            purpose="protective_event",
            place="North gate",
            starts_at_s=now_s - 60,
            ends_at_s=now_s + 3600,
            camera_ids=(CAMERA,),
            watchlist_id="w1",
            watchlist_size=1,
            fingerprint="a" * 64,
            threshold=0.5,
            issued_at_s=now_s - 60,
        )
        return msgspec.structs.replace(order, **changes)

    def publish(self, order: Order, key: Ed25519PrivateKey | None = None) -> None:
        value = encode(DEPLOYMENTS, sign(order, key or self.order_key))
        self.broker.producer().produce(DEPLOYMENTS.name, order.deployment_id.encode(), value)

    def take(self) -> None:
        """Take over what was produced."""
        for record in self._consumer.poll(100, 0.02):
            assert record.key == CAMERA.encode()
            self.seen.append(self._wire.open(record))
        self._consumer.commit()

    def until(self, condition: Callable[[], bool]) -> None:
        """Take over what is produced until `condition` holds."""
        deadline_s = self.clock.monotonic_s() + PATIENCE_S
        while not condition():
            assert self.clock.monotonic_s() < deadline_s, "waited too long"
            self.take()

    @property
    def frames(self) -> list[FrameCaptured]:
        return [message for message in self.seen if isinstance(message, FrameCaptured)]

    @property
    def ends(self) -> list[CaptureEnded]:
        return [message for message in self.seen if isinstance(message, CaptureEnded)]

    def count(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, {"camera": CAMERA} | labels)
        assert value is not None, f"there is no {name}"
        return value

    def ingest(
        self,
        source: Path | str,
        *,
        open_source: OpenSource = open_source,
        start: StartDecoder | None = None,
        **camera: object,
    ) -> Ingest:
        """Build one camera; without `start` it is decoded in a thread instead of a process."""
        options = CameraOptions.model_validate({"camera_id": CAMERA, "source": str(source)} | camera)
        return build(
            self.context,
            IngestOptions(cameras=(options,), **self.options),
            health=self.health,
            start=start or (lambda job: DecoderThread(job, open_source)),
            randomness=random.Random(7),
        )

    @contextmanager
    def running(self, ingest: Ingest) -> Iterator["Running"]:
        """Run every camera in a thread; at the end stop them and raise what they raised."""
        running = Running(ingest)
        try:
            yield running
        finally:
            running.stop.set()
            self.until(lambda: not any(thread.is_alive() for thread in running.threads))
        self.take()
        for error in running.errors:
            raise error


class Running:
    """The threads of an Ingest."""

    def __init__(self, ingest: Ingest) -> None:
        self.stop = threading.Event()
        self.errors: list[Exception] = []
        self.threads = [
            threading.Thread(target=self._guard, args=(runner,)) for runner in ingest.runners.values()
        ]
        for thread in self.threads:
            thread.start()

    @property
    def over(self) -> bool:
        return not any(thread.is_alive() for thread in self.threads)

    def _guard(self, runner: Callable[[threading.Event], None]) -> None:
        try:
            runner(self.stop)
        except Exception as error:  # noqa: BLE001 - raised again by `running`
            self.errors.append(error)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures, 160 x 96, 25 a second."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture
def live_camera(tmp_path: Path) -> Iterator[RtspCamera]:
    """A camera that gives 25 pictures a second for ever."""
    camera = RtspCamera(write_clip(tmp_path / "live.h264", 30), ending="goes on")
    yield camera
    camera.close()


def steps(values: Sequence[int]) -> set[int]:
    """The differences of neighbours."""
    return {later - earlier for earlier, later in itertools.pairwise(values)}
