"""Deadlines: an alert that nobody judges is said to wait, once a deadline, whoever looks and however often."""

from pathlib import Path

import pytest
import structlog

from overt.alerts.audit import first_broken
from overt.contracts.events import AlertEscalated
from services.alerts.tests.conftest import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, knobs={"ack_deadline_s": 60.0})


def escalate(world: World) -> int:
    return world.service.backstage.escalator.step()


def told(world: World) -> list[int]:
    world.service.backstage.relay.step()
    return [event.times for event in world.published() if isinstance(event, AlertEscalated)]


def test_an_alert_is_escalated_at_every_deadline_while_nobody_judges(world: World) -> None:
    world.order()
    alert_id = world.raise_alert()
    world.clock.advance(59)
    assert escalate(world) == 0
    world.clock.advance(1)
    with structlog.testing.capture_logs() as logs:
        assert [escalate(world), escalate(world)] == [1, 0]
    assert [line["alert_id"] for line in logs] == [alert_id]
    world.restart()
    assert escalate(world) == 0, "a restart repeats nothing"
    world.clock.advance(60)
    assert escalate(world) == 1
    assert told(world) == [1, 2]
    assert world.metric("overt_alerts_escalated_total") == 1, "of this process"
    assert world.read(first_broken) is None
    world.service.close()


def test_each_judgement_begins_the_deadline_of_the_next_and_the_last_one_ends_it(world: World) -> None:
    world.order()
    alert_id = world.raise_alert()
    world.clock.advance(50)
    world.sign_in("Operator 1").judge(alert_id, "true_alert")
    world.clock.advance(50)
    assert escalate(world) == 0
    world.clock.advance(10)
    assert escalate(world) == 1, "nobody gave the second judgement"
    world.sign_in("Operator 2").judge(alert_id, "true_alert")
    world.clock.advance(1000)
    assert escalate(world) == 0
    assert told(world) == [1]
    world.service.close()


def test_the_page_says_that_an_alert_waits_too_long_until_somebody_judges(world: World) -> None:
    world.order()
    alert_id = world.raise_alert()
    browser = world.sign_in("Operator 1")
    assert "Waits too long" not in browser.get("/").text
    world.clock.advance(61)
    escalate(world)
    assert browser.get("/").text.count('chip overdue">Waits too long<') == 2, "in the list and on the alert"
    world.clock.advance(1)
    assert browser.judge(alert_id, "true_alert").status_code == 303, "the form is as good as it was before"
    page = browser.get(f"/alerts/{alert_id}").text
    assert "chip overdue" not in page
    assert "<span>Waits too long" in page, "in the history it stays"
    world.service.close()
