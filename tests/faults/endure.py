"""Lets a server be away while cameras play, and measures memory, missed pictures and how soon all works again."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from overt.cli.scene import RATE_HZ as CLIP_RATE_HZ
from overt.cli.scene import SECONDS
from tests.integration.deployed import Service

from .passes import CUT_AT_S
from .run import Run
from .sample import sampled
from .stage import RATE_HZ, Stage

LOOK_EVERY_S = 1.0
# What may be on its way in one camera: five places in the decoder and five behind it, and what is being worked on.
ON_THE_WAY = 15


@dataclass(frozen=True, slots=True)
class Memory:
    """The resident memory of a service and its children: before the fault, and the largest during it."""

    before_mb: float
    largest_mb: float

    @property
    def grew_mb(self) -> float:
        """How much more it was than before."""
        return self.largest_mb - self.before_mb


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the cameras should have given from before the fault until all worked again, and what ingest says."""

    cameras: int
    due: float
    sent: float
    dropped: float

    @property
    def missed_uncounted(self) -> int:
        """How many went nowhere and are in no counter, beyond what may be on its way."""
        return max(0, round(self.due - self.sent - self.dropped - ON_THE_WAY * self.cameras))


@dataclass(frozen=True, slots=True)
class Away:
    """What was measured. `works_again_s` counts from when the server answered again."""

    works_again_s: float
    memory: Mapping[str, Memory]
    pictures: Pictures

    @property
    def grew_mb(self) -> float:
        """By how much a service grew at most."""
        return max(one.grew_mb for one in self.memory.values())


def endure(run: Run, fault: AbstractContextManager[object], seconds: float) -> Away:
    """Let `fault` last, then wait until pictures are looked at and every service is ready again."""
    stage, begun_s, before = run.stage, time.monotonic(), _counted(run.stage)
    memory = _MemoryWatch(stage.system.services)
    with fault:
        run.watch(seconds, memory.look)
    detect, read = stage.system.services["detect"], _frames_read(stage)

    def works() -> bool:
        memory.look()
        return _works(stage, detect, read)

    took_s = stage.until(works, "everything works again")
    sent, dropped = _counted(stage)
    due = due_hz(stage) * (time.monotonic() - begun_s)
    pictures = Pictures(len(stage.cameras), due, sent - before[0], dropped - before[1])
    return Away(took_s, memory.seen(), pictures)


def due_hz(stage: Stage) -> float:
    """Return how many pictures a second all cameras give: the sampling rate, or all that the recording has."""
    of_recording_hz = CLIP_RATE_HZ * (SECONDS - CUT_AT_S) / stage.recording.cycle_s
    return len(stage.cameras) * min(RATE_HZ, of_recording_hz)


class _MemoryWatch:
    """Remembers the largest of what each service held. Call `look` often; it looks once a second."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services
        self._looked_s = time.monotonic()
        self._before = self._now_mb()
        self._largest = dict(self._before)

    def look(self) -> None:
        if time.monotonic() - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = time.monotonic()
        for name, rss_mb in self._now_mb().items():
            self._largest[name] = max(rss_mb, self._largest.get(name, rss_mb))

    def seen(self) -> Mapping[str, Memory]:
        return {name: Memory(self._before.get(name, mb), mb) for name, mb in sorted(self._largest.items())}

    def _now_mb(self) -> dict[str, float]:
        return {one.process: one.rss_mb for one in sampled(self._services, 0.0)}


def _counted(stage: Stage) -> tuple[float, float]:
    """Return how many pictures ingest has sent and how many it has dropped."""
    ingest = stage.system.services["ingest"]
    return ingest.metric("overt_ingest_frames_sent_total"), ingest.metric("overt_ingest_frames_dropped_total")


def _works(stage: Stage, detect: Service, read: float) -> bool:
    if stage.system.services["detect"] is not detect:
        read = 0.0  # a new process counts from the beginning
    return _frames_read(stage) > read and all(one.ready for one in stage.system.services.values())


def _frames_read(stage: Stage) -> float:
    return stage.metric("detect", "overt_loop_records_total", topic="frames.v1", outcome="read")
