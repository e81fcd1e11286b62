"""The note that a face may be a picture of a face: shown to who judges, and of no other effect."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from overt.alerts import words
from overt.alerts.tables import AlertRow, AuditRow, EscalationRow, OtherCandidateRow, PresentationRow, SeenRow
from overt.contracts.messages import MatchMade, Presentation
from services.alerts.tests.conftest import World

NOTE = "may be a picture of a face"
SECOND_NS = 1_000_000_000


def said(match: MatchMade, presentation: Presentation | None) -> MatchMade:
    """The same match with what the check said of its track."""
    return msgspec.structs.replace(match, shot=msgspec.structs.replace(match.shot, presentation=presentation))


def page(world: World, alert_id: str) -> str:
    return world.sign_in("Operator 1").get(f"/alerts/{alert_id}").text


@pytest.fixture
def ordered(world: World) -> World:
    world.order()
    return world


def test_a_flagged_track_is_noted_with_its_looks_and_error_rates(ordered: World) -> None:
    ordered.send(said(ordered.match(), Presentation(looks=12, flagged=True)))
    text = page(ordered, ordered.service.alerts()[0].alert_id)
    assert NOTE in text
    assert "12 looks" in text
    assert words.PRESENTATION_RATES in text
    assert "Not a decision" in text


@pytest.mark.parametrize("presentation", [None, Presentation(looks=12, flagged=False)])
def test_nothing_is_said_of_a_track_that_is_not_flagged(
    ordered: World, presentation: Presentation | None
) -> None:
    ordered.send(said(ordered.match(), presentation))
    assert NOTE not in page(ordered, ordered.service.alerts()[0].alert_id)


def test_what_rests_on_most_looks_counts_in_whatever_order_it_comes(tmp_path: Path) -> None:
    findings = [Presentation(8, flagged=True), None, Presentation(20, flagged=False)]
    for name, order in (("there", findings), ("back", findings[::-1])):
        world = World(tmp_path / name)
        world.order()
        # Ever less similar: none but the first is shown, all are listened to.
        for number, presentation in enumerate(order, 1):
            world.send(said(world.match(number=number, similarity=0.7 - number / 100), presentation))
        (row,) = world.read(lambda session: session.scalars(select(PresentationRow)).all())
        assert (row.looks, row.flagged) == (20, False)
        assert NOTE not in page(world, row.alert_id)
        world.service.close()


def test_what_was_judged_stays_what_was_seen(ordered: World) -> None:
    alert_id = ordered.raise_alert()
    ordered.sign_in("Operator 2").judge(alert_id, "true_alert")
    ordered.send(said(ordered.match(number=2), Presentation(looks=12, flagged=True)))
    assert ordered.service.alerts()[0].matches == 2
    assert NOTE not in page(ordered, alert_id)


def test_a_page_that_was_open_before_the_note_can_still_be_judged(ordered: World) -> None:
    alert_id = ordered.raise_alert(similarity=0.9)
    operator = ordered.sign_in("Operator 1")
    version = operator.version(alert_id)
    ordered.send(said(ordered.match(number=2), Presentation(looks=12, flagged=True)))
    assert operator.judge(alert_id, "true_alert", version=version).status_code == 303


def effects(folder: Path, presentation: Presentation | None) -> tuple[Any, ...]:
    """Everything that a day's matches leave, except the note: rows, events, audit, what is asked next."""
    world = World(folder)
    world.order()
    for number, (entry_id, similarity, after_s) in enumerate(
        [
            ("entry-1", 0.5, 0),
            ("entry-2", 0.8, 1),
            ("entry-1", 0.7, 2),
            ("entry-1", 0.6, 3),
            ("entry-1", 0.6, 400),
        ],
        1,
    ):
        at_ns = world.clock.now_ns() + after_s * SECOND_NS
        match = world.match(
            number=number,
            entry_id=entry_id,
            similarity=similarity,
            captured_at_ns=at_ns,
            others=(("entry-3", 0.45),),
        )
        world.send(said(match, presentation))
    world.service.backstage.relay.step()
    alerts = world.service.alerts()
    world.sign_in("Operator 1").judge(alerts[0].alert_id, "true_alert")
    tables = (AlertRow, SeenRow, OtherCandidateRow, EscalationRow, AuditRow)
    queries = [select(*table.__table__.columns) for table in tables]
    rows = world.read(lambda session: [session.execute(query).all() for query in queries])
    listed = world.sign_in("Operator 2").get("/").text.count("mine")
    found = (rows, world.published(), world.service.alerts(), listed)
    world.service.close()
    return found


def test_the_flag_changes_no_alert_no_event_and_no_order_of_work(tmp_path: Path) -> None:
    without = effects(tmp_path / "without", None)
    assert len(without[1]) > 3
    assert effects(tmp_path / "flagged", Presentation(looks=30, flagged=True)) == without
    assert effects(tmp_path / "clear", Presentation(looks=30, flagged=False)) == without


def test_a_database_of_before_gets_its_table_at_the_next_start(ordered: World) -> None:
    ordered.raise_alert()
    with ordered.service._base.store.write() as session:
        PresentationRow.__table__.drop(session.connection())  # type: ignore[attr-defined] # SQLAlchemy's stub
    ordered.restart()
    ordered.send(said(ordered.match(number=2), Presentation(looks=12, flagged=True)))
    assert NOTE in page(ordered, ordered.service.alerts()[0].alert_id)
