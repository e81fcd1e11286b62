import random

from hypothesis import given
from hypothesis import strategies as st

from overt.ingest.backoff import FIRST_S, LONGEST_S, WELL_S, Backoff
from overt.ingest.capture import watchdog_for
from overt.ingest.core import MAX_GAP_S
from overt.ingest.watchdog import Watchdog

from .test_decoder import job_for


class Highest(random.Random):
    """Draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def test_the_limit_of_the_pause_doubles_up_to_its_bound() -> None:
    backoff = Backoff(Highest())
    assert [backoff.pause_s(0) for _ in range(6)] == [1, 2, 4, 8, 15, 15]
    assert (FIRST_S, LONGEST_S) == (1, 15)


def test_a_camera_that_was_well_for_a_while_is_tried_soon_again() -> None:
    backoff = Backoff(Highest())
    for _ in range(4):
        backoff.pause_s(WELL_S - 1)
    assert backoff.pause_s(WELL_S) == FIRST_S
    assert backoff.pause_s(0) == 2 * FIRST_S


@given(st.integers(), st.lists(st.floats(0, 100), max_size=20))
def test_pauses_stay_in_their_bounds_and_repeat_with_their_seed(seed: int, runs: list[float]) -> None:
    pauses = [[Backoff(random.Random(seed)).pause_s(ran) for ran in runs] for _ in range(2)]
    assert pauses[0] == pauses[1]
    assert all(0 <= pause <= LONGEST_S for pause in pauses[0])


def test_a_watchdog_waits_longer_for_the_first_picture_and_counts_anew_after_each() -> None:
    watchdog = Watchdog(opening_s=10, silence_s=2)
    assert not watchdog.waited(10)
    watchdog.heard()
    assert not watchdog.waited(2)
    watchdog.heard()
    assert not watchdog.waited(1.5)
    assert watchdog.waited(0.6)


def test_a_recording_may_pause_as_long_as_its_own_times_say() -> None:
    job = job_for("clip.mp4")
    camera, recording = watchdog_for(job, endless=True), watchdog_for(job, endless=False)
    for watchdog in (camera, recording):
        watchdog.heard()
    assert camera.waited(MAX_GAP_S)
    assert not recording.waited(MAX_GAP_S)
    assert recording.waited(MAX_GAP_S)
