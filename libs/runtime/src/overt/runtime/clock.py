"""The time as an argument: what decides by time takes a Clock, so a test can decide the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time."""

    def now_s(self) -> float:
        """UNIX time, UTC, in seconds."""

    def now_ns(self) -> int:
        """UNIX time, UTC, in nanoseconds."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""


class SystemClock:
    """Wall time that can't jump: read once at the start, then carried on by the monotonic clock.

    A wall clock that is set back an hour would lengthen an order by an hour; this one does not follow.
    """

    def __init__(self) -> None:
        self._wall_ns = time.time_ns()
        self._start_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """See Clock."""
        return self._wall_ns + time.monotonic_ns() - self._start_ns

    def now_s(self) -> float:
        """See Clock."""
        return self.now_ns() / 1e9

    def monotonic_s(self) -> float:
        """See Clock."""
        return time.monotonic()


class ManualClock:
    """A clock for tests and replays: moves only when told."""

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self._now_ns = int(now_s * 1e9)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self._now_ns += int(seconds * 1e9)

    def now_ns(self) -> int:
        """See Clock."""
        return self._now_ns

    def now_s(self) -> float:
        """See Clock."""
        return self._now_ns / 1e9

    def monotonic_s(self) -> float:
        """See Clock."""
        return self._now_ns / 1e9
