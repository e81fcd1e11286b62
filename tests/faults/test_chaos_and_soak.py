"""Short versions of `make chaos` and `make soak`."""

import pytest

from tests.integration.deployed import MODULES, Report

from .chaos import Plan, in_words, run_chaos
from .soak import soak, table
from .stage import Stage
from .verdict import reasons_in_outcome

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

PLAN = Plan(minutes=2, kills=12, cameras=2, seed=7, broker_every_s=60, slower=3)
SOAK_MINUTES = 5.0


def test_random_kills_under_load_lose_nothing_and_double_nothing(stage: Stage, report: Report) -> None:
    told, _, _ = run_chaos(stage, PLAN)
    report(in_words(told))
    assert sum(told.kills.values()) == PLAN.kills
    assert told.broker_restarts >= 1
    assert reasons_in_outcome(told.outcome) == [], told.outcome
    assert told.outcome.judgements_made >= 1


def test_nothing_grows(stage: Stage, report: Report) -> None:
    _, grown, outcome = soak(stage, SOAK_MINUTES)
    report("\n" + table(grown))
    assert reasons_in_outcome(outcome) == [], outcome
    assert outcome.judgements_made >= 1
    assert {one.process for one in grown} == set(MODULES)
    assert [one.process for one in grown if not one.is_flat] == []
