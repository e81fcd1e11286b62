import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.ingest.core import MAX_GAP_S, MAX_LAG_S, FastPace, PlayedPace, Sampler, Timeline, WallPace
from overt.runtime.clock import ManualClock

MS = 1_000_000
PERIOD_NS = 40 * MS


def test_a_steady_source_keeps_its_own_times_counted_from_its_first_picture() -> None:
    timeline = Timeline(PERIOD_NS)
    assert [timeline.place(5_000 * MS + n * 33 * MS) for n in range(4)] == [0, 33 * MS, 66 * MS, 99 * MS]


def test_a_missing_time_counts_as_one_picture_after_the_last() -> None:
    timeline = Timeline(PERIOD_NS)
    times = [timeline.place(pts) for pts in (None, 9_000 * MS, None, 9_080 * MS)]
    assert times == [0, PERIOD_NS, 2 * PERIOD_NS, 3 * PERIOD_NS]


def test_a_step_back_and_an_endless_gap_go_on_from_where_the_line_stood() -> None:
    timeline = Timeline(PERIOD_NS)
    far_ns = int((MAX_GAP_S + 1) * 1000) * MS
    times = [timeline.place(pts) for pts in (0, 40 * MS, 0, 40 * MS, 40 * MS + far_ns, 80 * MS + far_ns)]
    assert times == [n * PERIOD_NS for n in range(6)]


@given(st.lists(st.one_of(st.none(), st.integers(-(10**18), 10**18)), max_size=50))
def test_the_line_rises_strictly_whatever_the_source_says(pts: list[int | None]) -> None:
    timeline = Timeline(PERIOD_NS)
    times = [timeline.place(each) for each in pts]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert all(later - earlier <= MAX_GAP_S * 1e9 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("period", [0, -1])
def test_a_period_that_is_not_positive_is_refused(period: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Timeline(period)


@given(st.floats(1, 60), st.lists(st.floats(-0.48, 0.48), min_size=1, max_size=60))
def test_a_camera_of_the_target_rate_keeps_every_picture_despite_jitter(
    rate_hz: float, jitter: list[float]
) -> None:
    sampler = Sampler(rate_hz, int(1e9 / rate_hz))
    times = [int((n + (offset if n else 0)) / rate_hz * 1e9) for n, offset in enumerate(jitter)]
    assert all(sampler.keeps(max(at_ns, 0)) for at_ns in times)


@given(
    st.floats(1, 60),
    st.lists(st.integers(1, 200 * MS), min_size=1, max_size=100),
)
def test_no_more_than_the_target_rate_is_kept(rate_hz: float, gaps_ns: list[int]) -> None:
    sampler = Sampler(rate_hz, PERIOD_NS)
    at_ns, kept = 0, 0
    for gap_ns in gaps_ns:
        kept += sampler.keeps(at_ns)
        at_ns += gap_ns
    assert kept <= at_ns * rate_hz / 1e9 + 2


@pytest.mark.parametrize(("source_hz", "kept"), [(50, 25), (30, 25), (25, 25), (24, 24), (10, 10), (60, 25)])
def test_a_second_of_video_gives_the_lower_of_both_rates(source_hz: int, kept: int) -> None:
    sampler = Sampler(25, 1_000_000_000 // source_hz)
    assert sum(sampler.keeps(n * 1_000_000_000 // source_hz) for n in range(source_hz)) == pytest.approx(
        kept, abs=1
    )


@pytest.mark.parametrize(("source_hz", "rate_hz"), [(25, 5), (60, 20), (50, 25)])
def test_a_faster_source_is_thinned_to_even_distances(source_hz: int, rate_hz: int) -> None:
    sampler = Sampler(rate_hz, 1_000_000_000 // source_hz)
    kept = [n for n in range(10 * source_hz) if sampler.keeps(n * 1_000_000_000 // source_hz)]
    assert kept == list(range(0, 10 * source_hz, source_hz // rate_hz))


def test_a_rate_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Sampler(0, PERIOD_NS)


def test_a_camera_is_stamped_with_wall_time_and_never_twice_the_same() -> None:
    clock = ManualClock(1000.0)
    pace = WallPace(clock)
    first, second = pace.captured_at_ns(0), pace.captured_at_ns(99)
    clock.advance(0.5)
    third = pace.captured_at_ns(1)
    assert (first, second, third) == (1000 * 10**9, 1000 * 10**9 + 1, 1000 * 10**9 + 500 * MS)


def test_a_played_clip_waits_so_that_capture_time_is_wall_time() -> None:
    clock, waits = ManualClock(1000.0), list[float]()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    pace = PlayedPace(clock, wait)
    for number in range(4):
        assert pace.captured_at_ns(number * PERIOD_NS) == clock.now_ns()
        clock.advance(0.01)  # decoding takes a while
    assert waits == pytest.approx([0.03, 0.03, 0.03])
    assert clock.now_s() == pytest.approx(1000.0 + 3 * 0.04 + 0.01)


def test_a_played_clip_that_is_a_little_late_does_not_wait_and_keeps_its_time() -> None:
    clock, waits = ManualClock(1000.0), list[float]()
    pace = PlayedPace(clock, waits.append)
    pace.captured_at_ns(0)
    clock.advance(0.5)
    assert pace.captured_at_ns(PERIOD_NS) == 1000 * 10**9 + PERIOD_NS
    assert waits == []


def test_a_picture_that_is_decoded_far_too_late_is_given_up() -> None:
    clock = ManualClock(1000.0)
    pace = PlayedPace(clock, clock.advance)
    pace.captured_at_ns(0)
    clock.advance(MAX_LAG_S + 0.1)
    assert pace.captured_at_ns(PERIOD_NS) is None
    assert pace.captured_at_ns(30 * PERIOD_NS) == 1000 * 10**9 + 30 * PERIOD_NS


def test_as_fast_as_possible_is_nominal_start_plus_presentation_time() -> None:
    clock = ManualClock(1000.0)
    pace = FastPace(clock)
    clock.advance(5)
    assert pace.captured_at_ns(PERIOD_NS) == 1000 * 10**9 + PERIOD_NS
