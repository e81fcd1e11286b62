"""The books themselves: a lost, a doubled and a miscounted alert must be seen."""

from pathlib import Path
from typing import cast

import msgspec
import pytest

from overt.alerts.tables import AlertRow
from overt.contracts.codec import decode
from overt.contracts.messages import MatchMade
from overt.contracts.topics import MATCHES

from .ledger import Books, Span, demanded, differing

EXAMPLES = Path(__file__).parents[2] / "libs/contracts/examples/matches/v1/good"
WINDOW_S = 10.0
S = 1_000_000_000


def match(at_s: int, track_id: str = "track-1", number: int = 1, probe: str = "a") -> MatchMade:
    example = cast("MatchMade", decode(MATCHES, min(EXAMPLES.iterdir()).read_bytes()))
    shot = msgspec.structs.replace(example.shot, captured_at_ns=at_s * S, track_id=track_id, number=number)
    return msgspec.structs.replace(example, shot=shot, probe_hash=probe * 64, deployment_id="deployment-1")


def span(first_s: int, last_s: int, matches: int) -> Span:
    return Span("deployment-1", match(0).candidates[0].entry_id, first_s * S, last_s * S, matches)


def row(alert_id: str, first_s: int, last_s: int, matches: int) -> AlertRow:
    return AlertRow(
        alert_id=alert_id,
        deployment_id="deployment-1",
        entry_id=match(0).candidates[0].entry_id,
        first_at_ns=first_s * S,
        last_at_ns=last_s * S,
        matches=matches,
    )


MATCHED = [match(100), match(108, number=2, probe="b"), match(130, "track-2", probe="c")]


def test_matches_become_one_alert_until_a_gap_is_wider_than_the_window() -> None:
    assert demanded(MATCHED, WINDOW_S) == [span(100, 108, 2), span(130, 130, 1)]


def test_order_and_repetition_change_nothing() -> None:
    seen_again_as_another_track = match(100, "track-9", probe="a")
    again = [MATCHED[2], seen_again_as_another_track, *reversed(MATCHED)]
    assert demanded(again, WINDOW_S) == demanded(MATCHED, WINDOW_S)


def test_the_same_picture_after_the_window_is_another_alert() -> None:
    assert demanded([match(100), match(150, "track-2")], WINDOW_S) == [span(100, 100, 1), span(150, 150, 1)]


def test_the_same_picture_once_more_within_the_window_is_seen_before() -> None:
    begun_anew = match(105, "track-2")
    assert demanded([match(100), begun_anew], WINDOW_S) == [span(100, 100, 1)]


@pytest.mark.parametrize(
    ("alerts", "lost", "surplus"),
    [
        ([row("a", 100, 108, 2), row("b", 130, 130, 1)], [], []),
        ([row("a", 100, 108, 2)], [span(130, 130, 1)], []),
        ([row("a", 100, 108, 1), row("b", 130, 130, 1)], [span(100, 108, 2)], [span(100, 108, 1)]),
        (
            [row("a", 100, 108, 2), row("b", 130, 130, 1), row("c", 130, 130, 1)],
            [],
            [span(130, 130, 1)],
        ),
    ],
)
def test_what_is_lost_miscounted_or_doubled_is_named(
    alerts: list[AlertRow], lost: list[Span], surplus: list[Span]
) -> None:
    books = Books(MATCHED, {one.alert_id: one for one in alerts}, frozenset(), [])
    assert differing(books, WINDOW_S) == (lost, surplus)
