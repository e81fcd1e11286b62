"""What chaos and soak decide without a server: who is killed when, what counts as growing, and what held."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from tests.integration.deployed import MODULES

from .chaos import Plan
from .endure import Away, Memory, Pictures
from .run import Outcome
from .sample import Sample
from .soak import growth
from .verdict import last_line, reasons_in_away, reasons_in_outcome

PLAN = Plan(minutes=1.5, kills=9, cameras=2, seed=7)
GOOD = Outcome(
    passes=4, appearances_required=3, matches=9, alerts=4, lost=[], doubled=[], differences=[],
    judgements_made=2, judgements_lost=[], events_missing=[], ended_by_themselves=[],
)  # fmt: skip
ALL_COUNTED = Pictures(cameras=2, due=600, sent=180, dropped=400)


def test_a_seed_decides_who_is_killed_when() -> None:
    assert PLAN.schedule() == replace(PLAN).schedule()
    assert PLAN.schedule() != replace(PLAN, seed=8).schedule()
    whole = Plan(minutes=10, kills=70, cameras=4, seed=1).schedule()
    assert [at for at, _ in whole] == sorted(at for at, _ in whole)
    assert {name for _, name in whole} == set(MODULES)
    assert whole[-1][0] < 600


@pytest.mark.parametrize(
    ("rss_mb", "files", "threads", "is_flat"),
    [
        (lambda at: 100 + (at % 3), lambda at: 10, lambda at: 5, True),
        (lambda at: 100 + at / 10, lambda at: 10, lambda at: 5, False),
        (lambda at: 100, lambda at: 10 + at // 20, lambda at: 5, False),
        (lambda at: 100, lambda at: 10, lambda at: 5 + at // 20, False),
    ],
)
def test_growth_is_seen_and_noise_is_none(
    rss_mb: Callable[[int], float],
    files: Callable[[int], int],
    threads: Callable[[int], int],
    is_flat: bool,
) -> None:
    samples = [Sample(float(at), "embed", rss_mb(at), files(at), threads(at)) for at in range(150)]
    assert growth("embed", samples).is_flat is is_flat


def test_a_run_that_held_says_so() -> None:
    assert last_line(reasons_in_outcome(GOOD)) == "held"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lost": ["a span"]}, "NOT held: lost: 1"),
        ({"doubled": ["a span", "another"]}, "NOT held: doubled: 2"),
        ({"differences": ["one"]}, "NOT held: differences: 1"),
        ({"judgements_lost": ["one"]}, "NOT held: judgements lost: 1"),
        ({"events_missing": ["one"]}, "NOT held: events missing: 1"),
        ({"ended_by_themselves": ["embed: why"]}, "NOT held: ended by themselves: 1"),
        (
            {"appearances_required": 0},
            "NOT held: every pass was disturbed, so no alert was demanded and nothing was shown",
        ),
        ({"lost": ["a"], "doubled": ["b"]}, "NOT held: lost: 1; doubled: 1"),
    ],
)
def test_each_reason_against_a_run_is_in_its_last_line(changed: dict[str, object], said: str) -> None:
    assert last_line(reasons_in_outcome(msgspec.structs.replace(GOOD, **changed))) == said


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        (Away(9.9, {}, ALL_COUNTED), []),
        (Away(10.1, {}, ALL_COUNTED), ["x: all worked again 10.1 s after its return, not within 10 s"]),
        (
            Away(1.0, {}, replace(ALL_COUNTED, dropped=300)),
            ["x: 90 pictures were missed and no counter of ingest counted them"],
        ),
        (Away(1.0, {"embed": Memory(100, 200)}, ALL_COUNTED), []),
        (
            Away(1.0, {"embed": Memory(100, 201), "alerts": Memory(100, 150)}, ALL_COUNTED),
            ["x: embed grew by 101 MB, more than 100 MB"],
        ),
    ],
)
def test_a_late_recovery_growth_and_uncounted_pictures_are_reasons(found: Away, reasons: list[str]) -> None:
    assert reasons_in_away("x", found) == reasons


def test_the_service_that_grew_most_is_the_measure() -> None:
    memory = {"embed": Memory(100, 130), "alerts": Memory(90, 95)}
    assert Away(1.0, memory, ALL_COUNTED).grew_mb == 30
