"""Wires the cameras: for each its order book, its reader, its sender and its runner."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from overt.contracts.context import Context
from overt.contracts.messages import FrameCaptured
from overt.contracts.topics import FRAMES
from overt.contracts.wire import TopicWire
from overt.ingest.backoff import Backoff
from overt.ingest.capture import Parts
from overt.ingest.decoder import StartDecoder, start_process
from overt.ingest.metrics import IngestMetrics
from overt.ingest.piped import Job
from overt.ingest.runner import CameraRunner
from overt.ingest.sending import Sender
from overt.ingest.settings import CameraOptions, IngestOptions
from overt.ingest.source import Source, parse_source
from overt.ingest.watch import Watch
from overt.runtime.health import Health
from overt.runtime.process import Runner


@dataclass(frozen=True, slots=True)
class Ingest:
    """What `build` returns: a runner for each camera, and `finished`: every recording is over.

    A recording is over at its end, or when its order ended or was stopped: it is not begun again.
    `finished` is set after the last CaptureEnded was confirmed, and never while there are only cameras.
    """

    runners: Mapping[str, Runner]
    finished: threading.Event


def build(
    context: Context,
    options: IngestOptions,
    *,
    health: Health | None = None,
    start: StartDecoder = start_process,
    randomness: random.Random | None = None,
) -> Ingest:
    """Return the runners of all cameras, named `ingest.<camera id>`. Raises SourceRefused.

    `randomness` decides how long a lost camera is left alone.
    """
    wiring = _Wiring(context, options, health or Health(), IngestMetrics(context.registry), start)
    randomness = randomness or random.Random()  # noqa: S311 - jitter, no secret
    cameras = [(camera, parse_source(camera.source)) for camera in options.cameras]
    recordings = _Countdown(sum(not source.is_endless for _, source in cameras))
    runners = {
        f"ingest.{camera.camera_id}": CameraRunner(
            camera.camera_id,
            source,
            parts=wiring.parts(camera, source),
            backoff=Backoff(randomness),
            over=_nothing if source.is_endless else recordings.one_less,
        ).run
        for camera, source in cameras
    }
    return Ingest(runners, recordings.none_left)


def _nothing() -> None:
    """A camera's end ends no recording."""


class _Countdown:
    """Sets an event when `one_less` has been called `count` times. Safe to share between threads."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._count = count
        self.none_left = threading.Event()

    def one_less(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self.none_left.set()


@dataclass(frozen=True, slots=True)
class _Wiring:
    """What all cameras share."""

    context: Context
    options: IngestOptions
    health: Health
    metrics: IngestMetrics
    start: StartDecoder

    def parts(self, camera: CameraOptions, source: Source) -> Parts:
        context, metrics = self.context, self.metrics.for_camera(camera.camera_id)
        wire: TopicWire[FrameCaptured] = TopicWire(FRAMES, context.keys)
        watch = Watch(camera.camera_id, context.clock, health=self.health, metrics=metrics)
        return Parts(
            orders=context.orders("ingest"),
            clock=context.clock,
            sender=Sender(camera.camera_id, wire, context.broker.producer(), metrics=metrics, watch=watch),
            metrics=metrics,
            watch=watch,
            new_job=self._jobs_of(camera, source),
            start=self.start,
        )

    def _jobs_of(self, camera: CameraOptions, source: Source) -> Callable[[int], Job]:
        options, clock = self.options, self.context.clock

        def new_job(first_sequence: int) -> Job:
            return Job(
                kind=source.kind,
                address=source.address,
                shown=source.shown,
                live=camera.live or source.is_endless,
                loop=camera.loop,
                rate_hz=camera.rate_hz,
                decode_threads=options.decode_threads,
                open_timeout_s=options.open_timeout_s,
                read_timeout_s=options.read_timeout_s,
                jpeg_quality=options.jpeg_quality,
                first_sequence=first_sequence,
                clock_ahead_ns=clock.now_ns() - int(clock.monotonic_s() * 1e9),
            )

        return new_job
