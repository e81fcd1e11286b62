"""Waiting for what is away: said, bounded, and ended by a stop."""

import threading
from collections.abc import Callable

import pytest

from overt.alerts.database import DatabaseAway
from overt.alerts.patience import LIMIT_S, WELL_S, GivenUp, Patience, Rebuilds, Stopped
from overt.runtime.broker import Unconfirmed, Undelivered
from overt.runtime.clock import ManualClock
from overt.runtime.health import Health


class Pausing(threading.Event):
    """An event whose waits take the time of a manual clock, and are remembered."""

    def __init__(self, clock: ManualClock, on_pause: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._clock = clock
        self._on_pause = on_pause

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        self._clock.advance(timeout)
        self._on_pause()
        return self.is_set()


def failing(times: int) -> Callable[[], str]:
    left = [times]

    def action() -> str:
        if left[0] > 0:
            left[0] -= 1
            raise DatabaseAway("gone fishing")
        return "done"

    return action


def test_what_is_away_is_tried_again_after_growing_pauses_and_readiness_says_why() -> None:
    clock, health, said = ManualClock(0), Health(), []
    stop = Pausing(clock, lambda: said.append(dict(health.problems())))
    patience = Patience("database", health, clock)
    assert patience.until_done(failing(6), stop) == "done"
    assert stop.pauses == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert said == [{"database": "gone fishing"}] * 6
    assert health.problems() == {}


def test_patience_ends() -> None:
    clock = ManualClock(0)
    stop = Pausing(clock)
    with pytest.raises(GivenUp, match="gone fishing"):
        Patience("database", Health(), clock, limit_s=60).until_done(failing(1000), stop)
    assert 60 <= sum(stop.pauses) <= 62


def test_a_stop_ends_the_waiting_without_success() -> None:
    clock = ManualClock(0)
    stop = Pausing(clock)
    stop.set()
    with pytest.raises(Stopped):
        Patience("database", Health(), clock).until_done(failing(1), stop)


def test_what_is_no_outage_is_raised_at_once() -> None:
    stop = Pausing(ManualClock(0))

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Patience("database", Health(), ManualClock(0)).until_done(broken, stop)
    assert stop.pauses == []


def test_what_is_on_its_way_is_waited_for_and_what_was_lost_is_not() -> None:
    stop, errors = Pausing(ManualClock(0)), iter([Unconfirmed("late"), Undelivered("lost")])

    def failing_twice() -> None:
        raise next(errors)

    with pytest.raises(Undelivered, match="lost"):
        Patience("alerts.v1", Health(), ManualClock(0)).until_done(failing_twice, stop)
    assert len(stop.pauses) == 1


def test_what_breaks_again_and_again_is_given_up_although_it_worked_in_between() -> None:
    clock = ManualClock(0)
    rebuilds = Rebuilds(clock)
    pauses = []
    for _ in range(5):
        clock.advance(LIMIT_S / 6)
        pauses.append(rebuilds.pause_s(WELL_S - 1, "gone fishing"))
    assert pauses == [0.2, 0.4, 0.8, 1.6, 2.0]
    clock.advance(LIMIT_S / 6)
    with pytest.raises(GivenUp, match="gone fishing"):
        rebuilds.pause_s(WELL_S - 1, "gone fishing")


def test_what_worked_for_a_while_has_its_patience_back() -> None:
    clock = ManualClock(0)
    rebuilds = Rebuilds(clock)
    for _ in range(3):
        clock.advance(LIMIT_S)
        assert rebuilds.pause_s(WELL_S, "gone fishing") == 0.2


def test_a_runner_steps_until_it_is_stopped_and_waits_only_when_there_is_nothing_to_do() -> None:
    stop = threading.Event()
    steps = iter([3, 0, 1, 0])
    idled = []

    def idle(stopped: threading.Event) -> None:
        idled.append(1)
        if len(idled) == 2:
            stopped.set()

    Patience("escalation", Health(), ManualClock(0)).runner(lambda: next(steps), idle)(stop)
    assert len(idled) == 2
    assert next(steps, None) is None
