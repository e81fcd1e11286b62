"""Decides which frames may be looked at under which order, keeps a view a camera, and hands its shots on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import structlog

from overt.contracts.messages import CaptureEnded, FaceFound, FrameCaptured
from overt.contracts.orders import OrderBook
from overt.contracts.topics import FACES
from overt.contracts.wire import Out
from overt.detect.finder import find_together
from overt.detect.freshness import Skip, is_stale, skips
from overt.detect.jpeg import UnreadablePicture
from overt.detect.metrics import DetectMetrics
from overt.detect.shown import Shown
from overt.detect.sighting import Making, with_presentation
from overt.detect.view import CameraView, ReadyShot
from overt.recognition.pack import PackInfo
from overt.runtime.clock import Clock

log = structlog.get_logger()

Refusal = Literal["no_order", "other_camera", "other_fingerprint"]
NewView = Callable[[str], CameraView]

# A camera that is silent for this long has left: its view is forgotten, whoever comes back is new.
SILENCE_S = 10.0
# How far back a frame may lie to be taken for one that was delivered twice: more than a batch lasts.
REPEAT_NS = 5_000_000_000
# Frames of different cameras that are shown to the detector together at most. Before the next ones are taken,
# what is stale by then is skipped: more would make the last of them wait too long.
TOGETHER = 8


@dataclass(slots=True)
class _Watched:
    """One camera under one order, and when it was heard of last: by its own clock, and by ours."""

    deployment_id: str
    view: CameraView
    captured_at_ns: int = -1
    heard_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Pending:
    """A frame that is decoded and waits for the detector; `shown_s` is what decoding took."""

    watched: _Watched
    shown: Shown
    shown_s: float


class DetectCore:
    """Turns frames into shots. Not safe to share between threads.

    State is a view a camera, in memory. Frames are keyed by camera, so one member of the group sees all of
    a camera's; after a rebalance, a crash or a redelivery a view is built anew: faces in it become new
    tracks and may be handed on once more. The fold of alerts takes the same entry within its window as one
    alert, so nothing is raised twice.
    """

    def __init__(  # noqa: PLR0913 - the parts of the core, each given once, in service.py
        self,
        info: PackInfo,
        making: Making,
        *,
        new_view: NewView,
        orders: OrderBook,
        clock: Clock,
        metrics: DetectMetrics,
        freshness_s: float,
    ) -> None:
        self._info = info
        self._making = making
        self._new_view = new_view
        self._orders = orders
        self._clock = clock
        self._metrics = metrics
        self._budget_ns = int(freshness_s * 1e9)
        self._watched: dict[str, _Watched] = {}
        self._told: set[str] = set()

    def handle(self, messages: Sequence[FrameCaptured | CaptureEnded]) -> Iterator[Out]:
        """Yield the shots that are due, keyed by camera; also called with nothing, as time alone makes some due.

        Nothing is looked at without an active order that covers the camera and names this model pack. The
        next frame of each camera is shown to the detector together; a camera's own stay in their order.
        """
        self._forget_unlawful()
        frames = [message for message in messages if isinstance(message, FrameCaptured)]
        skipped = skips(frames, self._clock.now_ns(), self._budget_ns)
        reasons = {id(frames[index]): reason for index, reason in skipped.items()}
        waiting: dict[str, deque[FrameCaptured | CaptureEnded]] = {}
        for message in messages:
            waiting.setdefault(message.camera_id, deque()).append(message)
        while waiting:
            for some in _few(list(waiting), TOGETHER):
                together: list[_Pending] = []
                for camera_id in some:
                    yield from self._next_of(waiting[camera_id], reasons, together)
                    if not waiting[camera_id]:
                        del waiting[camera_id]
                yield from self._look(together)
        yield from self._due()

    def _next_of(
        self,
        queue: deque[FrameCaptured | CaptureEnded],
        reasons: Mapping[int, Skip],
        together: list[_Pending],
    ) -> Iterator[Out]:
        """Go through one camera's messages up to the next frame to be looked at, and add that to `together`."""
        before = len(together)
        while queue and len(together) == before:
            message = queue.popleft()
            refusal = self._refusal(message)
            if refusal is not None:
                self._refuse(message, refusal)
            elif isinstance(message, CaptureEnded):
                yield from self._end(message.camera_id)
            else:
                yield from self._frame(message, reasons.get(id(message)), together)

    def _refusal(self, message: FrameCaptured | CaptureEnded) -> Refusal | None:
        order = self._orders.active(message.deployment_id)
        if order is None:
            return "no_order"
        if message.camera_id not in order.camera_ids:
            return "other_camera"
        return None if order.fingerprint == self._info.fingerprint else "other_fingerprint"

    def _refuse(self, message: FrameCaptured | CaptureEnded, refusal: Refusal) -> None:
        if isinstance(message, FrameCaptured):
            self._skip(message, refusal)
        if refusal == "other_fingerprint" and message.deployment_id not in self._told:
            self._told.add(message.deployment_id)
            log.error(
                "the order names another model pack, its frames are refused",
                deployment_id=message.deployment_id,
                own_fingerprint=self._info.fingerprint,
            )

    def _skip(
        self, frame: FrameCaptured, reason: Refusal | Skip | Literal["unreadable", "repeated", "between"]
    ) -> None:
        self._metrics.skipped.labels(frame.camera_id, reason).inc()

    def _frame(self, frame: FrameCaptured, skip: Skip | None, together: list[_Pending]) -> Iterator[Out]:
        # Looking at the frames before this one took time too.
        if skip is None and is_stale(frame, self._clock.now_ns(), self._budget_ns):
            skip = "stale"
        if skip is not None:
            self._skip(frame, skip)
            return
        yield from self._make_room(frame)
        camera_id = frame.camera_id
        watched = self._watched.setdefault(
            camera_id, _Watched(frame.deployment_id, self._new_view(camera_id))
        )
        watched.heard_at_s = self._clock.monotonic_s()
        if frame.captured_at_ns <= watched.captured_at_ns:
            self._skip(frame, "repeated")
            return
        watched.captured_at_ns = frame.captured_at_ns
        self._show(watched, frame, together)

    def _show(self, watched: _Watched, frame: FrameCaptured, together: list[_Pending]) -> None:
        begun_s = perf_counter()
        try:
            shown = watched.view.show(frame)
        except UnreadablePicture:
            self._skip(frame, "unreadable")
            return
        if shown is None:
            self._skip(frame, "between")
            return
        together.append(_Pending(watched, shown, perf_counter() - begun_s))

    def _make_room(self, frame: FrameCaptured) -> Iterator[Out]:
        """Part with a view that this frame does not continue: another order's, or of a clock set back."""
        watched = self._watched.get(frame.camera_id)
        if watched is None:
            return
        set_back = frame.captured_at_ns <= watched.captured_at_ns - REPEAT_NS
        if watched.deployment_id != frame.deployment_id or set_back:
            yield from self._end(frame.camera_id)

    def _look(self, together: Sequence[_Pending]) -> Iterator[Out]:
        begun_s = perf_counter()
        found = find_together(self._making.finder, [one.shown for one in together])
        share_s = (perf_counter() - begun_s) / max(len(together), 1)
        for one, faces in zip(together, found, strict=True):
            frame = one.shown.frame
            refusal = self._refusal(frame)  # while it was looked at, its order may have run out
            if refusal is not None:
                self._refuse(frame, refusal)
                self._watched.pop(frame.camera_id, None)
                continue
            begun_s = perf_counter()
            look = one.watched.view.follow(one.shown, faces)
            self._metrics.frame_seconds.observe(one.shown_s + share_s + perf_counter() - begun_s)
            self._metrics.faces.labels(frame.camera_id).inc(look.faces)
            self._metrics.tracks.labels(frame.camera_id).inc(look.new_tracks)
            yield from self._shots(one.watched, look.ready)

    def _shots(self, watched: _Watched, ready: Iterable[ReadyShot]) -> Iterator[Out]:
        for one in ready:
            frame = one.sighting.frame
            if not self._is_lawful(watched.deployment_id, frame.camera_id):
                return
            try:
                shot = one.sighting.shot(one.track_id, one.number, self._making)
                shot = with_presentation(shot, one.finding)
            except UnreadablePicture:
                self._skip(frame, "unreadable")
                continue
            self._metrics.shots.labels(frame.camera_id).inc()
            message = FaceFound(
                deployment_id=watched.deployment_id, fingerprint=self._info.fingerprint, shot=shot
            )
            yield Out(FACES, frame.camera_id, message)

    def _end(self, camera_id: str) -> Iterator[Out]:
        watched = self._watched.pop(camera_id, None)
        if watched is not None:
            yield from self._shots(watched, watched.view.end())

    def _due(self) -> Iterator[Out]:
        now_s = self._clock.monotonic_s()
        for camera_id, watched in list(self._watched.items()):
            silent_s = now_s - watched.heard_at_s
            if silent_s > SILENCE_S:
                yield from self._end(camera_id)
            else:
                at_ns = watched.captured_at_ns + int(silent_s * 1e9)
                yield from self._shots(watched, watched.view.due(at_ns))

    def _forget_unlawful(self) -> None:
        """Drop what is known of a camera, unsent, as soon as its order no longer covers it."""
        for camera_id, watched in list(self._watched.items()):
            if not self._is_lawful(watched.deployment_id, camera_id):
                del self._watched[camera_id]

    def _is_lawful(self, deployment_id: str, camera_id: str) -> bool:
        order = self._orders.active(deployment_id)
        return order is not None and camera_id in order.camera_ids


def _few(camera_ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(camera_ids), most):
        yield camera_ids[start : start + most]
