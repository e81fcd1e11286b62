"""Kafka, Milvus or the alerts' database is away for a while: nobody ends, memory is bounded, no match is lost."""

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.integration.deployed import Report

from .away import in_words
from .endure import endure
from .run import Outcome, Run
from .servers_away import FAULTS, on_postgres, postgres_away, restart_broker, slow
from .stage import Stage
from .verdict import MAX_GROWTH_MB

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
# `make chaos ARGS="--away 60"` does it for a minute each.
AWAY_S = 12.0
# A whole pass of the recording and more: its matches are made by services that are behind.
SLOW_S = 30.0
SLOWED = ("embed", "match", "alerts")


def away(run: Run, fault: AbstractContextManager[object], report: Report) -> None:
    found = endure(run, fault, AWAY_S)
    report(in_words(found))
    assert found.grew_mb < MAX_GROWTH_MB
    assert found.pictures.missed_uncounted == 0


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_away_for_a_while_is_waited_for(
    survives: Survives, stage: Stage, report: Report, name: str
) -> None:
    outcome = survives(lambda run: away(run, FAULTS[name](stage), report))
    assert outcome.ended_by_themselves == []


def test_a_broker_may_be_restarted(survives: Survives, stage: Stage) -> None:
    assert survives(lambda _: restart_broker(stage)).ended_by_themselves == []


def test_consumers_that_are_slow_lose_nothing(survives: Survives, stage: Stage) -> None:
    behind = set[str]()

    def look() -> None:
        behind.update(name for name in SLOWED if not stage.system.topics.is_consumed(name))

    def crawl(run: Run) -> None:
        with slow(stage, SLOWED):
            run.watch(SLOW_S, look)

    assert survives(crawl).ended_by_themselves == []
    assert "embed" in behind  # the first of them: what it holds back the others never see at once


def test_a_full_disk_loses_no_match(survives: Survives, stage: Stage) -> None:
    folder = stage.system.alerts_database.parent
    if not os.path.ismount(folder):
        pytest.skip("a small disk of its own can be made by root alone")

    def fill(run: Run) -> None:
        filler = folder / "filler"
        fill_up(filler)
        try:
            run.watch(AWAY_S)
        finally:
            filler.unlink()

    assert survives(fill).ended_by_themselves == []


def fill_up(path: Path) -> None:
    def until_it_fails() -> None:
        with path.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    with pytest.raises(OSError) as refusal:
        until_it_fails()
    assert refusal.value.errno == errno.ENOSPC


def test_postgresql_may_be_restarted_and_be_away(survives: Survives, stage: Stage, report: Report) -> None:
    with on_postgres(stage) as postgres:
        outcome = survives(lambda run: away(run, postgres_away(postgres), report))
        assert outcome.ended_by_themselves == []
        stage.stop_orders()
