from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.recognition.best_shots import BestShotLimits, BestShots, DueShot

MS = 1_000_000


def walk(qualities: list[int], rate_hz: float, best: BestShots[int] | None = None) -> list[tuple[int, int]]:
    """Offer one look a picture; return (time sent in ms, the look's number) of each shot."""
    best = best or BestShots()
    sent: list[tuple[int, int]] = []
    for number, quality in enumerate(qualities):
        pts_ns = round(number * 1e9 / rate_hz)
        best.offer("t", quality, pts_ns, number)
        sent.extend((pts_ns // MS, due.shot) for due in best.due(pts_ns))
    return sent


@pytest.mark.parametrize("rate_hz", [30, 25, 15, 10, 5])
def test_the_first_shot_is_out_within_200_ms_of_the_first_good_look(rate_hz: float) -> None:
    assert walk([50] * 20, rate_hz)[0][0] <= 200


def test_the_first_shot_is_the_best_look_of_its_window() -> None:
    assert walk([50, 60, 55, 40, 30, 30], 25) == [(120, 1)]


def test_a_look_that_is_not_clearly_better_is_not_sent() -> None:
    assert walk([50] * 5 + [55] * 100, 25) == [(120, 0)]


def test_a_clearly_better_look_is_sent_once_its_window_is_over() -> None:
    sent = walk([50] * 5 + [70, 75, 72] + [60] * 30, 25)

    assert [number for _, number in sent] == [0, 6]
    assert sent[1][0] == 200 + 320  # the window of 300 ms, at the first picture past it


def test_a_face_that_grows_all_the_way_is_sent_five_times_at_most_and_spread_over_the_way() -> None:
    qualities = [30 + number // 3 for number in range(200)]

    numbers = [number for _, number in walk(qualities, 25)]

    assert len(numbers) == 5
    assert numbers[-1] > 150


@settings(max_examples=100, deadline=None)
@given(
    qualities=st.lists(st.integers(0, 100), min_size=1, max_size=200), rate_hz=st.sampled_from([5, 10, 25])
)
def test_whatever_comes_shots_are_few_rise_and_the_first_is_never_lost(
    qualities: list[int], rate_hz: float
) -> None:
    best: BestShots[int] = BestShots()

    numbers = [number for _, number in walk(qualities, rate_hz, best)]
    numbers += [due.shot for due in best.flush()]

    sent = [qualities[number] for number in numbers]
    assert 1 <= len(sent) <= 5
    assert all(later >= earlier + 6 for earlier, later in pairwise(sent))
    assert best.held == 0


def test_what_waits_when_a_track_is_over_is_handed_out_and_the_track_forgotten() -> None:
    best: BestShots[str] = BestShots()
    best.offer("a", 50, 0, "look")

    assert best.close(["a", "unknown"]) == (DueShot("a", 50, "look"),)
    assert best.close(["a"]) == ()
    assert best.held == 0


def test_the_end_of_capture_hands_out_every_first_shot_that_waits() -> None:
    best: BestShots[str] = BestShots()
    best.offer("a", 50, 0, "one")
    best.offer("b", 60, 0, "two")

    assert {due.shot for due in best.flush()} == {"one", "two"}
    assert best.due(10**12) == ()


def test_tracks_do_not_touch_each_other() -> None:
    best: BestShots[str] = BestShots()
    best.offer("a", 50, 0, "a")
    best.offer("b", 90, 100 * MS, "b")

    assert [due.track_id for due in best.due(130 * MS)] == ["a"]
    assert [due.track_id for due in best.due(230 * MS)] == ["b"]


def test_asking_first_whether_a_shot_is_wanted_changes_nothing() -> None:
    best: BestShots[str] = BestShots()

    assert best.wants("a", 10)
    best.offer("a", 50, 0, "a")
    assert not best.wants("a", 50)
    assert best.wants("a", 51)
    best.due(200 * MS)
    assert not best.wants("a", 55)
    assert best.wants("a", 60)


def test_memory_is_bounded_the_track_longest_without_a_look_is_given_up() -> None:
    best: BestShots[int] = BestShots(BestShotLimits(max_tracks=3))
    for number in range(3):
        best.offer(f"t{number}", 50, number, number)
    best.offer("t0", 40, 10, 10)
    best.offer("t3", 50, 11, 11)

    assert best.held == 3
    assert {due.track_id for due in best.flush()} == {"t0", "t2", "t3"}
