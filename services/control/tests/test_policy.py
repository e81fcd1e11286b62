"""The rules from law, as tables: for each, what is allowed and what is refused."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from overt.contracts.orders import Purpose
from overt.control.policy import (
    CATEGORIES,
    KEY_ACCESS,
    ORDER_RULES,
    ROUTE_ACCESS,
    SERVICES,
    Facts,
    OrderDraft,
    WatchlistFacts,
    broken_rules,
    is_useless,
    may_call,
    may_have_key,
    threshold_floor,
)
from overt.recognition.calibration import Calibration, OperatingPoint

NOW_S = 1_700_000_000.0
HOUR_S = 3600.0
PACK, OTHER_PACK = "a" * 64, "b" * 64

DRAFT = OrderDraft(
    deployment_id="d1",
    purpose="crime_hotspot",
    place="High Street, east end",
    starts_at_s=NOW_S,
    ends_at_s=NOW_S + 4 * HOUR_S,
    camera_ids=("north", "south"),
    watchlist_id="w1",
    threshold=0.5,
)
LIST = WatchlistFacts(fingerprint=PACK, size=10, oldest_import_s=NOW_S - HOUR_S, newest_import_s=NOW_S)
FACTS = Facts(now_s=NOW_S, known_deployment=False, watchlist=LIST, fingerprint=PACK, threshold_floor=0.4)


def draft(**changes: Any) -> OrderDraft:
    return dataclasses.replace(DRAFT, **changes)


def with_list(**changes: Any) -> Facts:
    return dataclasses.replace(FACTS, watchlist=dataclasses.replace(LIST, **changes))


def test_a_lawful_draft_breaks_no_rule() -> None:
    assert broken_rules(DRAFT, FACTS) == ()


@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_each_of_the_five_purposes_is_allowed(purpose: Purpose) -> None:
    assert broken_rules(draft(purpose=purpose), FACTS) == ()


ALLOWED: Mapping[str, tuple[OrderDraft, Facts]] = {
    "exactly twelve hours": (draft(ends_at_s=NOW_S + 12 * HOUR_S), FACTS),
    "a start in the past, an end ahead": (draft(starts_at_s=NOW_S - HOUR_S), FACTS),
    "one camera": (draft(camera_ids=("north",)), FACTS),
    "sixty-four cameras": (draft(camera_ids=tuple(f"c{i}" for i in range(64))), FACTS),
    "the threshold at the floor": (draft(threshold=0.4), FACTS),
    "a list at the cap": (DRAFT, with_list(size=20_000)),
    "an import exactly 24 h before the start": (DRAFT, with_list(oldest_import_s=NOW_S - 24 * HOUR_S)),
    "an import after the start": (DRAFT, with_list(oldest_import_s=NOW_S + 60)),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_the_edge_of_a_rule_is_allowed(case: str) -> None:
    assert broken_rules(*ALLOWED[case]) == ()


REFUSED: Mapping[str, tuple[OrderDraft, Facts, str]] = {
    "a purpose of its own": (draft(purpose="other"), FACTS, "purpose"),
    "no place": (draft(place="  "), FACTS, "place"),
    "a place too long": (draft(place="x" * 201), FACTS, "place"),
    "no camera": (draft(camera_ids=()), FACTS, "cameras"),
    "too many cameras": (draft(camera_ids=tuple(f"c{i}" for i in range(65))), FACTS, "cameras"),
    "a camera named twice": (draft(camera_ids=("north", "north")), FACTS, "twice"),
    "an end at the start": (
        draft(starts_at_s=NOW_S + HOUR_S, ends_at_s=NOW_S + HOUR_S),
        FACTS,
        "before the end",
    ),
    "an end that passed": (
        draft(starts_at_s=NOW_S - 2 * HOUR_S, ends_at_s=NOW_S - HOUR_S),
        FACTS,
        "already passed",
    ),
    "an end right now": (draft(starts_at_s=NOW_S - HOUR_S, ends_at_s=NOW_S), FACTS, "already passed"),
    "a second over twelve hours": (draft(ends_at_s=NOW_S + 12 * HOUR_S + 1), FACTS, "at most 12 h"),
    "no end": (draft(ends_at_s=math.inf), FACTS, "at most 12 h"),
    "a deployment that has an order": (
        DRAFT,
        dataclasses.replace(FACTS, known_deployment=True),
        "already has an order",
    ),
    "the key scope of a list": (draft(deployment_id="watchlist.w1"), FACTS, "must not begin"),
    "the key scope of pictures": (draft(deployment_id="pictures.w1"), FACTS, "must not begin"),
    "no such list": (DRAFT, dataclasses.replace(FACTS, watchlist=None), "no watchlist w1"),
    "an empty list": (DRAFT, with_list(size=0), "is empty"),
    "a list over the cap": (DRAFT, with_list(size=20_001), "20001 entries"),
    "a list of another pack": (DRAFT, with_list(fingerprint=OTHER_PACK), OTHER_PACK),
    "a stale entry": (DRAFT, with_list(oldest_import_s=NOW_S - 24 * HOUR_S - 1), "imported 24.0 h"),
    "a threshold below the evidence": (draft(threshold=0.39), FACTS, "evidence begins at 0.400"),
    "a threshold that is no number": (draft(threshold=math.nan), FACTS, "evidence begins"),
    "a threshold nobody reaches": (draft(threshold=1.01), FACTS, "evidence begins"),
    "no evidence": (DRAFT, dataclasses.replace(FACTS, threshold_floor=None), "never tested"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_broken_rule_is_named_and_no_other(case: str) -> None:
    asked, facts, words = REFUSED[case]
    reasons = broken_rules(asked, facts)
    assert len(reasons) == 1
    assert words in reasons[0]


@pytest.mark.parametrize("time_s", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_times_that_are_none_are_refused(time_s: float) -> None:
    assert broken_rules(draft(starts_at_s=time_s), FACTS)
    assert broken_rules(draft(ends_at_s=time_s), FACTS)


def test_every_rule_has_a_case_that_it_alone_refuses() -> None:
    firing = {rule for rule in ORDER_RULES for a, f, _ in REFUSED.values() if rule(a, f) is not None}
    assert firing == set(ORDER_RULES)


def test_every_rule_cites_its_source() -> None:
    # The mark says how good the source is; a rule nobody can look up is not a rule from law.
    for rule in ORDER_RULES:
        assert rule.__doc__ is not None
        assert any(mark in rule.__doc__ for mark in ("[P]", "[S]", "[R]")), rule.__name__


def test_every_broken_rule_is_told_at_once() -> None:
    asked = draft(place="", camera_ids=(), threshold=0.1)
    assert len(broken_rules(asked, dataclasses.replace(FACTS, watchlist=None))) == 4


EVIDENCE = Calibration(
    default_threshold=0.5,
    data_set="a set",
    points=(
        OperatingPoint(0.40, 100, 0.001, 0.002, 0.9, 0.8),
        OperatingPoint(0.45, 1_000, 0.001, 0.002, 0.9, 0.8),
        OperatingPoint(0.50, 1_000, 0.001, 0.002, 0.9, 0.8),
    ),
)


@pytest.mark.parametrize(
    ("size", "floor"), [(1, 0.40), (100, 0.40), (101, 0.45), (1_000, 0.45), (1_001, None)]
)
def test_evidence_counts_for_lists_no_larger_than_the_one_it_was_measured_on(
    size: int, floor: float | None
) -> None:
    assert threshold_floor(EVIDENCE, size) == floor


def test_categories_are_a_closed_list_without_other() -> None:
    assert len(CATEGORIES) == 7
    assert not any("other" in category for category in CATEGORIES)


@pytest.mark.parametrize(("age_s", "useless"), [(0.0, False), (24 * HOUR_S, False), (24 * HOUR_S + 1, True)])
def test_a_list_on_which_no_order_could_start_is_useless(age_s: float, useless: bool) -> None:
    facts = dataclasses.replace(LIST, newest_import_s=NOW_S - age_s)
    assert is_useless(facts, NOW_S) is useless


KEYS_OF: Mapping[str, tuple[bool, bool, bool]] = {
    #          epoch, lasting, watchlist
    "ingest": (True, False, False),
    "detect": (True, False, False),
    "embed": (True, False, False),
    "match": (True, True, True),
    "alerts": (False, True, False),
    "officer": (False, False, False),
    "control": (False, False, False),
    "": (False, False, False),
}


@pytest.mark.parametrize("caller", KEYS_OF)
def test_a_caller_has_the_keys_of_the_table_and_no_other(caller: str) -> None:
    asked = (("d1", "epoch"), ("d1", "lasting"), ("watchlist.w1", "lasting"))
    assert tuple(may_have_key(caller, scope, kind) for scope, kind in asked) == KEYS_OF[caller]  # type: ignore[arg-type]


@pytest.mark.parametrize("caller", KEYS_OF)
def test_nobody_has_the_key_of_the_pictures_or_an_epoch_of_a_list(caller: str) -> None:
    assert not may_have_key(caller, "pictures.w1", "lasting")
    assert not may_have_key(caller, "pictures.w1", "epoch")
    assert not may_have_key(caller, "watchlist.w1", "epoch")


def test_the_key_table_names_every_service_once() -> None:
    assert set(KEY_ACCESS) == set(SERVICES)


def test_a_route_or_a_caller_that_is_not_in_the_table_is_denied() -> None:
    assert may_call("officer", "issue_order")
    assert not may_call("officer", "anything")
    assert not may_call("nobody", "issue_order")
    assert {caller for callers in ROUTE_ACCESS.values() for caller in callers} == {*SERVICES, "officer"}
