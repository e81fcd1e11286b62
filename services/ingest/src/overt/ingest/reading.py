"""Decodes one source, samples, stamps the capture time and fills the slot: half of a child process."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av

from overt.ingest.core import NS_PER_S, FastPace, Pace, PlayedPace, Sampler, Timeline, WallPace
from overt.ingest.errors import SourceLost
from overt.ingest.picture import OpenOptions, OpenSource, Picture
from overt.ingest.slot import HICCUP, Slot
from overt.ingest.source import Source
from overt.ingest.tally import Tally
from overt.runtime.clock import Clock

# What a source is taken for that does not say how fast it is, or says nonsense.
DEFAULT_RATE_HZ = 25.0
MAX_RATE_HZ = 240.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A sampled picture on its way to the encoder."""

    frame: av.VideoFrame
    sequence: int
    captured_at_ns: int
    read_at_ns: int


@dataclass(frozen=True, slots=True)
class Play:
    """How a source is played. `live`: at camera speed, the newest picture wins; else nothing is lost."""

    live: bool
    rate_hz: float
    loop: bool


class Reader:
    """Reads one source for one stretch of an order. `run` belongs to one thread, `halt` to any."""

    def __init__(  # noqa: PLR0913 - the parts of a reader, each given once, in child.py
        self,
        source: Source,
        play: Play,
        *,
        open_source: OpenSource,
        open_options: OpenOptions,
        clock: Clock,
        tally: Tally,
        sequence: Iterator[int],
    ) -> None:
        self._source = source
        self._play = play
        self._open_source = open_source
        self._open_options = open_options
        self._clock = clock
        self._tally = tally
        self._sequence = sequence
        self._halted = threading.Event()
        self.slot: Slot[Taken] = Slot(newest_wins=play.live, places=HICCUP)

    def halt(self) -> None:
        """Decode nothing more than the picture in hand, and give it to nobody."""
        self._halted.set()
        self.slot.close()

    def run(self) -> None:
        """Read to the end of the source or until halted. Raises SourceRefused, SourceLost."""
        try:
            self._run(self._pace(self._halted.wait))
        finally:
            self.slot.close()

    def _pace(self, wait: Callable[[float], object]) -> Pace:
        if self._source.is_endless:
            return WallPace(self._clock)
        return PlayedPace(self._clock, wait) if self._play.live else FastPace(self._clock)

    def _run(self, pace: Pace) -> None:
        sampler = timeline = None
        while not self._halted.is_set():
            with self._open_source(self._source, self._open_options, self._tally.drop) as opened:
                if timeline is None or sampler is None:
                    each_ns = period_ns(opened.info.rate_hz)
                    timeline, sampler = Timeline(each_ns), Sampler(self._play.rate_hz, each_ns)
                given = 0
                for picture in opened.pictures:
                    if self._halted.is_set():
                        return
                    self._take(picture, timeline, sampler, pace)
                    given += 1
            if self._source.is_endless:
                raise SourceLost(f"{self._source.shown} ended")
            # An unreadable recording would be opened again and again without a pause.
            if not self._play.loop or not given:
                return

    def _take(self, picture: Picture, timeline: Timeline, sampler: Sampler, pace: Pace) -> None:
        self._tally.read()
        at_ns = timeline.place(picture.pts_ns)
        if not sampler.keeps(at_ns):
            self._tally.sampled_out()
            return
        captured_at_ns = pace.captured_at_ns(at_ns)
        if captured_at_ns is None:
            self._tally.drop("late")
            return
        taken = Taken(picture.frame, next(self._sequence), captured_at_ns, self._clock.now_ns())
        if self.slot.put(taken) is not None:
            self._tally.drop("superseded")


def period_ns(rate_hz: float | None) -> int:
    """Return the time between two pictures of a source that says it has `rate_hz`."""
    usable = rate_hz is not None and 0 < rate_hz <= MAX_RATE_HZ
    return int(NS_PER_S / (rate_hz if usable and rate_hz else DEFAULT_RATE_HZ))
