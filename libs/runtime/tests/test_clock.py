"""Clocks: the wall clock may jump, the process does not follow."""

import time

import pytest

from overt.runtime.clock import ManualClock, SystemClock


def test_a_wall_clock_that_is_set_back_does_not_lengthen_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before_s = clock.now_s()
    an_hour_ago = time.time() - 3_600
    monkeypatch.setattr(time, "time", lambda: an_hour_ago)
    monkeypatch.setattr(time, "time_ns", lambda: int(an_hour_ago * 1e9))
    assert clock.now_s() >= before_s


def test_the_system_clock_tells_the_time_and_never_goes_back() -> None:
    clock = SystemClock()
    assert abs(clock.now_s() - time.time()) < 60
    readings = [(clock.now_ns(), clock.monotonic_s()) for _ in range(1_000)]
    assert readings == sorted(readings)


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(now_s=1_000.0)
    assert (clock.now_s(), clock.now_ns(), clock.monotonic_s()) == (1_000.0, 1_000 * 10**9, 1_000.0)
    clock.advance(0.5)
    assert clock.now_s() == 1_000.5
