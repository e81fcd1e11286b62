"""Tries something again while a server that it needs is away, says so to /readyz, and gives up in the end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from overt.runtime.broker import BrokerAway
from overt.runtime.clock import Clock
from overt.runtime.health import Health
from overt.runtime.loop import Unavailable
from overt.runtime.process import Runner

log = structlog.get_logger()

T = TypeVar("T")

AWAY = (Unavailable, BrokerAway)
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
LIMIT_S = 300.0
# What broke sooner than this has not worked: else something that breaks again and again would never end.
WELL_S = 60.0


class GivenUp(RuntimeError):
    """A server was away for too long: the process ends, and what was in hand comes back."""


class Stopped(Exception):
    """The service was told to end while a server was away: what was in hand comes back."""


class Rebuilds:
    """How often something that breaks is built anew: after growing pauses, and not for ever."""

    def __init__(self, clock: Clock, limit_s: float = LIMIT_S) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._well_at_s = clock.monotonic_s()
        self._pause_s = FIRST_PAUSE_S

    def pause_s(self, ran_s: float, reason: str) -> float:
        """Return how long to wait before the next one; the last worked for `ran_s` and broke for `reason`.

        Raises GivenUp when none has worked for a while within the limit.
        """
        now_s = self._clock.monotonic_s()
        if ran_s >= WELL_S:
            self._well_at_s, self._pause_s = now_s, FIRST_PAUSE_S
        if now_s - self._well_at_s >= self._limit_s:
            raise GivenUp(f"{self._limit_s:.0f} s without success: {reason}")
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause_s


@dataclass(frozen=True, slots=True)
class Patience:
    """The patience of one part of a process; it shows in /readyz under `part`."""

    part: str
    health: Health
    clock: Clock
    limit_s: float = LIMIT_S

    def until_done(self, action: Callable[[], T], stop: threading.Event) -> T:
        """Return what `action` returns, once nothing that it needs is away.

        Raises GivenUp after `limit_s`, Stopped when `stop` is set in between, and at once whatever else
        `action` raises.
        """
        begun_s, pause_s = self.clock.monotonic_s(), FIRST_PAUSE_S
        while True:
            try:
                done = action()
            except AWAY as error:
                reason = str(error)
            else:
                if pause_s > FIRST_PAUSE_S:
                    log.info("works again", part=self.part)
                    self.health.set(self.part, None)
                return done
            self.health.set(self.part, reason)
            log.warning("trying again", part=self.part, reason=reason, pause_s=pause_s)
            if self.clock.monotonic_s() - begun_s >= self.limit_s:
                raise GivenUp(f"{self.limit_s:.0f} s without success: {reason}")
            if stop.wait(pause_s):
                raise Stopped(reason)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def runner(self, step: Callable[[], int], idle: Callable[[threading.Event], object]) -> Runner:
        """Return a runner that steps until it is told to stop; `idle` waits when a step found nothing to do."""

        def run(stop: threading.Event) -> None:
            while not stop.is_set():
                try:
                    done = self.until_done(step, stop)
                except Stopped:
                    return
                if not done:
                    idle(stop)

        return run
