"""The fold: what becomes one alert, whatever the order and however often matches come."""

import random
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from overt.alerts.core import Counted, Folded, Match, Raised, Strengthened, alert_id_of, apply, fold

SECOND_NS = 1_000_000_000
WINDOW_NS = 30 * SECOND_NS
FIRST = Match("dep", "entry", "cam", "t1", 1, "aa" * 32, 1_000 * SECOND_NS, 0.5)


def fold_all(matches: list[Match]) -> tuple[Folded, ...]:
    state: tuple[Folded, ...] = ()
    for match in matches:
        state = apply(state, fold(state, match, WINDOW_NS))
    return state


def outline(state: tuple[Folded, ...]) -> set[tuple[int, int, int, float, frozenset[str]]]:
    """Everything but the id, which names the match that arrived first."""
    return {(a.first_at_ns, a.last_at_ns, a.matches, a.similarity, a.seen) for a in state}


def later(seconds: float, **changes: object) -> Match:
    at_ns = FIRST.captured_at_ns + int(seconds * SECOND_NS)
    new: dict[str, object] = {"captured_at_ns": at_ns, "probe_hash": f"{at_ns:064x}", "track_id": f"t{at_ns}"}
    return replace(FIRST, **{**new, **changes})  # type: ignore[arg-type] # fields of Match


@st.composite
def passes(draw: st.DrawFn) -> list[Match]:
    """Passes of one person: each no longer than the window, further apart than it."""
    matches: list[Match] = []
    start_s = 0.0
    for _ in range(draw(st.integers(1, 4))):
        offsets = draw(st.lists(st.integers(0, 30), min_size=1, max_size=6))
        for offset in offsets:
            similarity = draw(st.integers(40, 100)) / 100
            unique = f"{len(matches):064x}"
            matches.append(
                later(start_s + offset, similarity=similarity, probe_hash=unique, track_id=f"t{len(matches)}")
            )
        start_s += 61 + draw(st.integers(0, 600))
    return matches


@given(passes(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_matches_do_not_change_the_alerts(
    matches: list[Match], order: random.Random
) -> None:
    delivered = matches + order.choices(matches, k=len(matches))
    order.shuffle(delivered)
    assert outline(fold_all(delivered)) == outline(fold_all(matches))


@given(passes())
def test_every_match_is_counted_in_exactly_one_alert(matches: list[Match]) -> None:
    state = fold_all(matches)
    assert sum(alert.matches for alert in state) == len(matches)
    assert len({alert.alert_id for alert in state}) == len(state)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_no_order_of_delivery_loses_a_match_or_makes_spans_overlap(
    seconds: list[int], order: random.Random
) -> None:
    matches = [
        later(s, probe_hash=f"{number:064x}", track_id=f"t{number}") for number, s in enumerate(seconds)
    ]
    order.shuffle(matches)
    state = sorted(fold_all(matches), key=lambda alert: alert.first_at_ns)
    assert sum(alert.matches for alert in state) == len(matches)
    for before, after in pairwise(state):
        assert before.last_at_ns < after.first_at_ns


def test_the_window_counts_from_the_last_match_and_its_end_belongs_to_it() -> None:
    assert len(fold_all([FIRST, later(30), later(60), later(90)])) == 1
    assert len(fold_all([FIRST, later(30.001)])) == 2


def test_a_match_that_arrives_late_joins_the_alert_it_was_captured_with() -> None:
    state = fold_all([later(10), FIRST])
    assert [(alert.first_at_ns, alert.matches) for alert in state] == [(FIRST.captured_at_ns, 2)]


def test_alerts_that_turn_out_to_touch_are_not_merged() -> None:
    state = fold_all([FIRST, later(50), later(24)])
    assert sorted(alert.matches for alert in state) == [1, 2]


def test_the_same_probe_or_the_same_shot_again_changes_nothing() -> None:
    state = fold_all([FIRST])
    same_probe = replace(FIRST, track_id="t2", shot_number=3)
    same_shot = replace(FIRST, probe_hash="bb" * 32)
    assert fold(state, FIRST, WINDOW_NS) == ()
    assert fold(state, same_probe, WINDOW_NS) == ()
    assert fold(state, same_shot, WINDOW_NS) == ()


def test_a_recording_played_again_after_the_window_raises_another_alert() -> None:
    again = replace(FIRST, captured_at_ns=FIRST.captured_at_ns + 31 * SECOND_NS)
    state = fold_all([FIRST, again])
    assert len({alert.alert_id for alert in state}) == 2


def test_a_better_probe_is_shown_until_somebody_has_judged() -> None:
    state = fold_all([FIRST])
    better = later(1, similarity=0.7)
    assert isinstance(fold(state, better, WINDOW_NS)[0], Strengthened)
    judged = tuple(replace(alert, judged=True) for alert in state)
    (change,) = fold(judged, better, WINDOW_NS)
    assert isinstance(change, Counted)
    assert change.alert.similarity == FIRST.similarity
    assert change.alert.matches == 2


def test_a_worse_probe_only_counts() -> None:
    assert isinstance(fold(fold_all([FIRST]), later(1, similarity=0.45), WINDOW_NS)[0], Counted)


def test_the_id_of_an_alert_is_that_of_its_first_match() -> None:
    (change,) = fold((), FIRST, WINDOW_NS)
    assert isinstance(change, Raised)
    assert change.alert.alert_id == alert_id_of(FIRST) == alert_id_of(replace(FIRST, similarity=0.9))
    others = [replace(FIRST, deployment_id="x"), replace(FIRST, entry_id="x"), replace(FIRST, probe_hash="x")]
    assert len({alert_id_of(match) for match in [FIRST, *others]}) == 4
