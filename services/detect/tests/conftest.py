"""A detect service's surroundings in one process, drawn faces, and a detector that is told where they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import CaptureEnded, FaceFound, FrameCaptured
from overt.contracts.orders import Order, sign
from overt.contracts.topics import DEPLOYMENTS
from overt.contracts.wire import memory_topics
from overt.detect import jpeg
from overt.detect.core import DetectCore
from overt.detect.metrics import DetectMetrics
from overt.detect.settings import DetectOptions
from overt.detect.sighting import Making
from overt.detect.view import CameraView
from overt.recognition.align import ARCFACE, TEMPLATE_52
from overt.recognition.detector import Detections
from overt.recognition.pack import PackInfo, pack_info
from overt.runtime.clock import ManualClock
from overt.runtime.keys import KeyRing
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker

NOW_S = 1_700_000_000.0
FRAME_NS = 40_000_000
SIZE_WH = (1280, 720)
CPU = pack_info("cpu")


@dataclass(frozen=True)
class DrawnFace:
    """A face at `left`, `top` of the full picture, whose aligned crop would be `side` pixels wide there."""

    left: float
    top: float
    side: float = 140.0
    score: float = 0.9

    @property
    def landmarks_52(self) -> NDArray[np.float32]:
        return (TEMPLATE_52 * self.side / 112 + (self.left, self.top)).astype(np.float32)

    @property
    def box_4(self) -> NDArray[np.float32]:
        corners = (0.15, 0.15, 0.85, 1.0)
        return (np.array(corners) * self.side + (self.left, self.top) * 2).astype(np.float32)


class ToldFinder:
    """Answers with the faces it was told of, in pixels of whatever picture it is given.

    sees: whether a face is found in a picture of this size, seen at this longest side.
    """

    def __init__(self) -> None:
        self.faces: tuple[DrawnFace, ...] = ()
        self.sizes_wh: list[tuple[int, int]] = []
        self.sides_px: list[int] = []
        self.batches: list[int] = []
        self.takes_s: tuple[ManualClock, float] | None = None
        self.sees: Callable[[DrawnFace, tuple[int, int], int], bool] = lambda *_: True

    def detect(self, image_HWC: NDArray[np.uint8], *, longest_side_px: int) -> Detections:
        height, width = image_HWC.shape[:2]
        self.sizes_wh.append((width, height))
        self.sides_px.append(longest_side_px)
        faces = [face for face in self.faces if self.sees(face, (width, height), longest_side_px)]
        whole = Detections(
            np.array([face.box_4 for face in faces], np.float32).reshape(-1, 4),
            np.array([face.landmarks_52 for face in faces], np.float32).reshape(-1, 5, 2),
            np.array([face.score for face in faces], np.float32),
        )
        return self._in(image_HWC, whole)

    def detect_batch(self, images: Sequence[NDArray[np.uint8]], *, longest_side_px: int) -> list[Detections]:
        self.batches.append(len(images))
        found = [self.detect(image_HWC, longest_side_px=longest_side_px) for image_HWC in images]
        if self.takes_s is not None:
            clock, seconds = self.takes_s
            clock.advance(seconds)
        return found

    @staticmethod
    def _in(image_HWC: NDArray[np.uint8], whole: Detections) -> Detections:
        """Return faces of the full picture in pixels of one that was decoded smaller and cut: a view of that."""
        base = image_HWC if image_HWC.base is None else image_HWC.base
        if not isinstance(base, np.ndarray) or base.ndim != image_HWC.ndim:
            base = image_HWC
        offset = image_HWC.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        y, x = divmod(offset // 3, base.shape[1])
        small = whole.scaled(base.shape[1] / SIZE_WH[0])
        corner_2 = np.array([x, y], np.float32)
        return Detections(
            small.boxes_N4 - np.tile(corner_2, 2), small.landmarks_N52 - corner_2, small.scores_N
        )


def face_region(picture: NDArray[np.uint8], face: DrawnFace) -> NDArray[np.uint8]:
    """The middle of a face in a context picture."""
    left, top, right, bottom = (face.box_4 * picture.shape[1] / SIZE_WH[0]).round().astype(int)
    return picture[top + 5 : bottom - 5, left + 5 : right - 5]


def of(found: list[FaceFound], face: DrawnFace) -> FaceFound:
    """The one that shows `face`."""
    (one,) = (one for one in found if abs(one.shot.box.left - face.box_4[0]) < 1)
    return one


def texture() -> NDArray[np.uint8]:
    """A picture of random grey cells: sharp, of middle brightness and high contrast, like a good face."""
    cells = np.random.default_rng(7).integers(60, 200, (SIZE_WH[1] // 8, SIZE_WH[0] // 8, 1), np.uint8)
    return cells.repeat(8, axis=0).repeat(8, axis=1).repeat(3, axis=2)


@dataclass
class World:
    """The surroundings, with a clock that moves only when told."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_S))
    order_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    finder: ToldFinder = field(default_factory=ToldFinder)
    options: DetectOptions = field(default_factory=DetectOptions)
    info: PackInfo = CPU

    def __post_init__(self) -> None:
        self.keys = KeyRing(self.clock)
        self.keys.open("d1")
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
        self.orders = self.context.orders("detect")
        self.picture_jpeg = jpeg.encode(texture(), 92)
        self._ids = count(1)
        self._sequence = count()
        self.core = DetectCore(
            self.info,
            Making(ARCFACE, self.finder, self.options.longest_side_px),
            new_view=lambda camera_id: CameraView(
                self.options.zones.of(camera_id), self.options, lambda: f"track-{next(self._ids)}"
            ),
            orders=self.orders.book,
            clock=self.clock,
            metrics=DetectMetrics(self.registry),
            freshness_s=self.options.freshness_s,
        )

    def publish(self, order: Order, key: Ed25519PrivateKey | None = None) -> None:
        """Put an order on its topic and let the service read it."""
        value = encode(DEPLOYMENTS, sign(order, key or self.order_key))
        self.broker.producer().produce(DEPLOYMENTS.name, order.deployment_id.encode(), value)
        self.orders.feed.poll()

    def frame(self, **changes: object) -> FrameCaptured:
        """The camera's next frame, read now."""
        now_ns = self.clock.now_ns()
        frame = FrameCaptured(
            deployment_id="d1",
            camera_id="cam-1",
            sequence=next(self._sequence),
            captured_at_ns=now_ns,
            read_at_ns=now_ns,
            live=True,
            width_px=SIZE_WH[0],
            height_px=SIZE_WH[1],
            jpeg=self.picture_jpeg,
        )
        return msgspec.structs.replace(frame, **changes)

    def handle(self, *messages: FrameCaptured | CaptureEnded) -> list[FaceFound]:
        outs = list(self.core.handle(messages))
        assert all(out.topic.name == "faces.v1" for out in outs)
        found = [out.message for out in outs]
        assert all(isinstance(message, FaceFound) for message in found)
        return [message for message in found if isinstance(message, FaceFound)]

    def watch(self, frames: int, faces: Sequence[DrawnFace], **changes: object) -> list[FaceFound]:
        """Show `frames` frames at 25 a second, one a batch, and return what came out."""
        self.finder.faces = tuple(faces)
        return [one for frame in self._frames(frames, **changes) for one in self.handle(frame)]

    def _frames(self, frames: int, **changes: object) -> Iterator[FrameCaptured]:
        for _ in range(frames):
            self.clock.advance(FRAME_NS / 1e9)
            yield self.frame(**changes)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"overt_detect_{name}_total", {"camera": "cam-1"} | labels) or 0

    def skipped(self, reason: str) -> float:
        return self.count("frames_skipped", reason=reason)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_order() -> Callable[..., Order]:
    """Makes the order that covers `cam-1` now; keywords change it."""

    def make(**changes: object) -> Order:
        order = Order(
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
            fingerprint=CPU.fingerprint,
            threshold=0.5,
            issued_at_s=NOW_S - 120,
        )
        return msgspec.structs.replace(order, **changes)

    return make


@pytest.fixture
def watched(world: World, make_order: Callable[..., Order]) -> World:
    """A world with an active order."""
    world.publish(make_order())
    return world
