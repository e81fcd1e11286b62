"""A wall clock that jumps by an hour: who runs does not follow, who begins with a wrong one works under no order."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from overt.contracts.topics import FRAMES
from overt.runtime.clock import SystemClock
from tests.integration.deployed import MODULES

from .jumping_clock import jump, jumping
from .records import of_this_run
from .run import Outcome, Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
# Longer than the orders of the stage last.
HOUR_S = 3_700
BETWEEN_S = 6.0
SILENT_S = 5.0


@contextmanager
def with_clock(stage: Stage, file: Path, *names: str) -> Iterator[None]:
    """Run these services with the clock of `file` while the block lasts."""
    for name in names:
        stage.system.modules[name] = ("tests.faults.jumping_clock", str(file), *MODULES[name])
        stage.begin_anew(name)
    try:
        yield
    finally:
        for name in names:
            del stage.system.modules[name]
            if name in stage.system.services:
                stage.begin_anew(name)


@pytest.fixture
def clock_file(tmp_path: Path) -> Path:
    file = tmp_path / "wrong-by"
    jump(file, 0)
    return file


def test_the_clock_of_these_tests_jumps_and_that_of_a_service_does_not_follow(
    clock_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_s = time.time()
    monkeypatch.setattr(time, "time", jumping(time.time, clock_file, 1))
    monkeypatch.setattr(time, "time_ns", jumping(time.time_ns, clock_file, 10**9))
    clock = SystemClock()
    for seconds in (HOUR_S, -HOUR_S):
        jump(clock_file, seconds)
        assert abs(time.time() - before_s - seconds) < HOUR_S / 2
        assert abs(time.time_ns() / 1e9 - before_s - seconds) < HOUR_S / 2
        assert abs(clock.now_s() - before_s) < HOUR_S / 2


def test_a_wall_clock_that_jumps_while_everything_runs_changes_nothing(
    survives: Survives, stage: Stage, clock_file: Path
) -> None:
    def back_and_forth(run: Run) -> None:
        for seconds in (HOUR_S, -HOUR_S, 0):
            jump(clock_file, seconds)
            run.watch(BETWEEN_S)

    with with_clock(stage, clock_file, *MODULES):
        assert survives(back_and_forth).ended_by_themselves == []


@pytest.mark.parametrize(("wrong_by_s", "reason"), [(HOUR_S, "is over"), (-HOUR_S, "has not begun")])
def test_ingest_that_begins_with_a_wrong_clock_captures_nothing(
    stage: Stage, clock_file: Path, wrong_by_s: int, reason: str
) -> None:
    jump(clock_file, wrong_by_s)
    with with_clock(stage, clock_file, "ingest"):
        orders = stage.order_all()
        ingest = stage.system.services["ingest"]
        for camera_id, order in zip(stage.cameras, orders, strict=True):
            why = f"the order of deployment {order} {reason}"
            stage.until(
                lambda camera_id=camera_id, why=why: (  # type: ignore[misc]
                    ingest.said("nothing is captured", camera=camera_id, reason=why) is not None
                ),
                f"{camera_id} is not used",
            )
        stage.watch(SILENT_S)
        assert of_this_run(stage, FRAMES) == []
    stage.until(lambda: bool(of_this_run(stage, FRAMES)), "with the right clock it captures")


def test_detect_that_begins_with_a_clock_behind_looks_at_no_picture(stage: Stage, clock_file: Path) -> None:
    def skipped() -> float:
        return stage.metric("detect", "overt_detect_frames_skipped_total", reason="no_order")

    def looked_at() -> float:
        return stage.metric("detect", "overt_detect_frame_seconds_count")

    jump(clock_file, -HOUR_S)
    with with_clock(stage, clock_file, "detect"):
        stage.order_all()
        stage.until(lambda: skipped() > 0, "pictures are passed over")
        stage.watch(SILENT_S)
        assert looked_at() == 0
    stage.until(lambda: looked_at() > 0, "with the right clock pictures are looked at")
