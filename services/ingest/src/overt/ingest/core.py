"""Decides which pictures are kept and what time they carry; touches nothing."""

from collections.abc import Callable
from typing import Protocol

from overt.runtime.clock import Clock

NS_PER_S = 1_000_000_000
# Above it a step of the presentation time is no pause of the camera but a broken clock.
MAX_GAP_S = 10.0
# A clip that falls this far behind its own time loses pictures, as a camera would.
MAX_LAG_S = 1.0


class Timeline:
    """Nanoseconds since the first picture, strictly rising, whatever presentation times a source gives.

    A missing time (RTSP may begin with one) counts as one picture after the last; so does a step back or
    one of more than ten seconds, after which the line goes on from there.
    """

    def __init__(self, period_ns: int) -> None:
        if period_ns <= 0:
            raise ValueError(f"period must be positive, is {period_ns}")
        self._period_ns = period_ns
        self._base_ns: int | None = None
        self._last_ns: int | None = None

    def place(self, pts_ns: int | None) -> int:
        """Return where the picture with presentation time `pts_ns` stands."""
        at_ns = self._follow(pts_ns)
        if pts_ns is not None:
            self._base_ns = pts_ns - at_ns
        self._last_ns = at_ns
        return at_ns

    def _follow(self, pts_ns: int | None) -> int:
        if self._last_ns is None:
            return 0
        expected_ns = self._last_ns + self._period_ns
        if pts_ns is None or self._base_ns is None:
            return expected_ns
        at_ns = pts_ns - self._base_ns
        return at_ns if self._last_ns < at_ns <= self._last_ns + MAX_GAP_S * NS_PER_S else expected_ns


class Sampler:
    """Keeps at most one picture in each 1/rate of a second: the one nearest to that instant.

    Instants stand on a fixed grid instead of being counted from picture to picture, so a camera of just the
    target rate keeps every picture while its jitter stays below half a period, and a faster one is thinned
    evenly.
    """

    def __init__(self, rate_hz: float, period_ns: int) -> None:
        """`period_ns` is the time between two pictures of the source."""
        if rate_hz <= 0:
            raise ValueError(f"rate must be positive, is {rate_hz}")
        self._rate_hz = rate_hz
        # A little less than half, so that of two equally near pictures the later one, on the grid, is kept.
        self._early = 0.49 * min(1.0, rate_hz * period_ns / NS_PER_S)
        self._last = -1

    def keeps(self, at_ns: int) -> bool:
        """Whether the picture at `at_ns` is to be kept; call once a picture, times rising."""
        instant = int(at_ns * self._rate_hz / NS_PER_S + self._early)
        if instant <= self._last:
            return False
        self._last = instant
        return True


class Pace(Protocol):
    """Says when a picture counts as captured, and waits for that moment where time is played."""

    def captured_at_ns(self, at_ns: int) -> int | None:
        """Return the capture time (UNIX, ns) of the picture at `at_ns`, or None when it is too late for it."""


class WallPace:
    """A camera: a picture was captured when it arrived."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ns = 0

    def captured_at_ns(self, at_ns: int) -> int | None:  # noqa: ARG002 - the camera's own time is not wall time
        """See Pace."""
        # Two pictures out of one packet must not share a capture time: trackers divide by the difference.
        self._last_ns = max(self._clock.now_ns(), self._last_ns + 1)
        return self._last_ns


class PlayedPace:
    """A recording played at camera speed: start plus presentation time, which is wall time then."""

    def __init__(self, clock: Clock, wait: Callable[[float], object]) -> None:
        """`wait` is given seconds and may come back early when playing is to end."""
        self._clock = clock
        self._wait = wait
        self._start_ns: int | None = None

    def captured_at_ns(self, at_ns: int) -> int | None:
        """See Pace."""
        now_ns = self._clock.now_ns()
        if self._start_ns is None:
            self._start_ns = now_ns - at_ns
        due_ns = self._start_ns + at_ns
        if now_ns < due_ns:
            self._wait((due_ns - now_ns) / NS_PER_S)
        elif now_ns - due_ns > MAX_LAG_S * NS_PER_S:
            return None
        return due_ns


class FastPace:
    """A recording read as fast as possible: nominal start plus presentation time, no waiting."""

    def __init__(self, clock: Clock) -> None:
        self._start_ns = clock.now_ns()

    def captured_at_ns(self, at_ns: int) -> int | None:
        """See Pace."""
        return self._start_ns + at_ns
