"""The alerts stream over a real Kafka: what it may lose (nothing) and what it may count twice (nothing)."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overt.contracts.access import OPERATOR
from overt.contracts.events import AlertEscalated, AlertRaised, JudgementMade
from overt.contracts.topics import ALERT_WINDOWS, MATCHES

from .alerts_stream import AlertsStream
from .control_room import Browser
from .deployed import PAGES, Service
from .servers.kafka import KafkaServer
from .servers.kafka_cluster import KafkaCluster
from .servers.postgres import PostgresServer
from .servers.serve import equip, login_environment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ENTRIES = 6
EACH = 25
# Longer than a fetch waits at the broker, shorter than the group waits for a member.
FETCH_S = 2.0


@pytest.fixture
def own_kafka(tools_dir: Path, tmp_path: Path) -> Iterator[KafkaServer]:
    """A broker of the test's own: topics and group have their real names."""
    with KafkaServer.start(tools_dir, tmp_path / "kafka") as server:
        yield server


@pytest.fixture
def alerts(
    own_kafka: KafkaServer, postgres: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[AlertsStream]:
    failed_before = request.session.testsfailed
    with AlertsStream(tmp_path, own_kafka.bootstrap, postgres.database()) as world:
        yield world
        if request.session.testsfailed > failed_before:
            sys.stderr.write(world.tails())


def everything(alerts: AlertsStream) -> dict[str, int]:
    """Send a burst and return what must come of it."""
    alerts.send(*(alerts.match(number, entry) for number in range(EACH) for entry in range(ENTRIES)))
    return {f"entry-{entry}": EACH for entry in range(ENTRIES)}


def test_matches_become_alerts_events_and_a_table_and_a_signal_ends_in_order(alerts: AlertsStream) -> None:
    worker = alerts.begin("one")
    alerts.until(lambda: worker.ready, "the stream is ready")
    expected = everything(alerts)
    alerts.until(lambda: alerts.counts() == expected, "every match is counted")
    alerts.until(lambda: len(alerts.events()) == ENTRIES, "every alert is published")
    assert {event.entry_id for event in alerts.events() if isinstance(event, AlertRaised)} == set(expected)
    alerts.until(lambda: alerts.uncommitted() == 0, "everything is committed")
    assert alerts.records(ALERT_WINDOWS.name, MATCHES), "the table has its changelog"
    alerts.send(alerts.match(3), alerts.match(3))
    alerts.until(
        lambda: worker.metric("overt_alerts_matches_total", outcome="repeated") == 2, "repetitions are known"
    )
    assert alerts.counts() == expected
    code, _ = worker.terminate()
    assert code == 0, worker.tail()
    assert alerts.uncommitted() == 0


def test_a_kill_between_database_and_commit_loses_nothing_and_doubles_nothing(alerts: AlertsStream) -> None:
    expected, came_before_the_commit = everything(alerts), list[bool]()
    for number in range(3):
        before = sum(alerts.counts().values()) if number else 0
        worker = alerts.begin(f"killed-{number}")
        alerts.until(lambda: sum(alerts.counts().values()) >= before + 10, "some matches are recorded")  # noqa: B023
        worker.process.send(signal.SIGKILL)
        assert worker.await_end() == -signal.SIGKILL
        came_before_the_commit.append(alerts.uncommitted() > 0)
    assert any(came_before_the_commit)  # a machine that stalls may let a commit slip in before a kill
    alerts.begin("last")
    alerts.until(lambda: alerts.uncommitted() == 0, "everything is committed")
    assert alerts.counts() == expected
    raised = [event for event in alerts.events() if isinstance(event, AlertRaised)]
    assert {event.entry_id for event in raised} == set(expected)


def lag(worker: Service) -> float:
    return worker.metric("overt_loop_lag_records", service="alerts", topic=MATCHES.name)


def test_a_database_that_is_away_is_waited_for(own_kafka: KafkaServer, tmp_path: Path) -> None:
    with (
        PostgresServer.start() as database,
        AlertsStream(tmp_path, own_kafka.bootstrap, database.database()) as alerts,
    ):
        worker = alerts.begin("one")
        alerts.until(lambda: worker.ready, "the stream is ready")
        alerts.send(alerts.match(0))
        alerts.until(lambda: alerts.counts() == {"entry-1": 1}, "the first match is recorded")
        database.stop()
        alerts.send(*(alerts.match(number) for number in range(1, 40)))
        alerts.until(lambda: worker.said("trying again", part="matches") is not None, "it waits")
        assert not worker.ready
        alerts.until(lambda: lag(worker) > 0, "its lag shows")
        database.restart()
        alerts.until(lambda: alerts.uncommitted() == 0, "it goes on")
        assert alerts.counts() == {"entry-1": 40}
        alerts.until(lambda: lag(worker) == 0, "nothing waits any more")
        alerts.until(lambda: worker.ready, "the stream is ready again")


def test_a_signal_while_the_database_is_away_ends_the_process_and_the_matches_come_back(
    own_kafka: KafkaServer, tmp_path: Path
) -> None:
    with (
        PostgresServer.start() as database,
        AlertsStream(tmp_path, own_kafka.bootstrap, database.database()) as alerts,
    ):
        worker = alerts.begin("one")
        alerts.until(lambda: worker.ready, "the stream is ready")
        database.stop()
        alerts.send(alerts.match(0), alerts.match(1))
        alerts.until(lambda: worker.said("trying again", part="matches") is not None, "it waits")
        code, _ = worker.terminate()
        assert code == 1, worker.tail()
        assert worker.said("did not finish in time") is None
        assert alerts.uncommitted() == 2
        database.restart()
        alerts.begin("two")
        alerts.until(lambda: alerts.uncommitted() == 0, "they came back")
        assert alerts.counts() == {"entry-1": 2}


def test_a_redelivered_match_needs_no_database_also_after_a_restart(
    own_kafka: KafkaServer, tmp_path: Path
) -> None:
    with (
        PostgresServer.start() as database,
        AlertsStream(tmp_path, own_kafka.bootstrap, database.database()) as alerts,
    ):
        matches = [alerts.match(number, entry) for entry in range(ENTRIES) for number in range(2)]
        first = alerts.begin("one")
        alerts.send(*matches)
        alerts.until(lambda: bool(alerts.counts()) and alerts.uncommitted() == 0, "everything is committed")
        assert first.terminate()[0] == 0
        second = alerts.begin("two")
        alerts.until(lambda: second.ready, "the table is rebuilt")
        database.stop()
        alerts.send(*matches)
        alerts.until(lambda: alerts.uncommitted() == 0, "they are passed over")
        # More when the stream has gone back once: then some come to it twice.
        assert second.metric("overt_alerts_matches_total", outcome="repeated") >= len(matches)
        assert "recovery unknown topic" not in alerts.tails()


def test_matches_that_aged_out_while_nobody_worked_hold_nothing_up(alerts: AlertsStream) -> None:
    first = alerts.begin("one")
    expected = everything(alerts)
    alerts.until(lambda: alerts.counts() == expected and alerts.uncommitted() == 0, "everything is committed")
    assert first.terminate()[0] == 0
    alerts.send(*(alerts.match(EACH + number, entry) for number in range(2) for entry in range(ENTRIES)))
    alerts.let_all_expire()
    alerts.send(*(alerts.match(2 * EACH, entry) for entry in range(ENTRIES)))
    alerts.begin("two")
    alerts.until(lambda: alerts.uncommitted() == 0, "what is left is committed")
    assert alerts.counts() == dict.fromkeys(expected, EACH + 1)


def test_matches_that_age_out_under_a_worker_hold_nothing_up_and_are_counted(alerts: AlertsStream) -> None:
    worker = alerts.begin("one")
    alerts.send(alerts.match(0))
    alerts.until(
        lambda: alerts.counts() == {"entry-1": 1} and alerts.uncommitted() == 0, "it is at its place"
    )
    worker.process.send(signal.SIGSTOP)
    time.sleep(FETCH_S)
    alerts.send(alerts.match(1), alerts.match(2))
    alerts.let_all_expire()
    alerts.send(alerts.match(3))
    worker.process.send(signal.SIGCONT)
    alerts.until(lambda: alerts.uncommitted() == 0, "what is left is committed")
    aged_out = worker.metric("overt_loop_expired_records_total", topic=MATCHES.name)
    assert aged_out >= 1
    assert alerts.counts()["entry-1"] + aged_out == 4


def test_poison_is_parked_before_it_is_passed(alerts: AlertsStream) -> None:
    worker = alerts.begin("one")
    alerts.until(lambda: worker.ready, "the stream is ready")
    for value in (b"", b"\x00poison", b"OV1"):
        alerts.send_raw(value)
    alerts.send(alerts.match(0))
    alerts.until(lambda: alerts.uncommitted() == 0, "everything is committed")
    assert alerts.counts() == {"entry-1": 1}
    assert len(alerts.records(MATCHES.dead, MATCHES)) == 3


def test_two_workers_share_the_work_and_a_killed_one_is_replaced(alerts: AlertsStream) -> None:
    workers = [alerts.begin("one"), alerts.begin("two")]
    alerts.until(lambda: all(worker.ready for worker in workers), "both are ready")
    expected = everything(alerts)
    workers[0].process.send(signal.SIGKILL)
    workers.append(alerts.begin("three"))
    alerts.until(lambda: alerts.uncommitted() == 0, "everything is committed")
    assert alerts.counts() == expected


def test_an_alert_that_nobody_judges_is_escalated_by_one_of_two_workers(alerts: AlertsStream) -> None:
    alerts.told = {"OVERT_ALERTS_ACK_DEADLINE_S": "3"}
    alerts.begin("one")
    alerts.begin("two")
    alerts.send(alerts.match(0))

    def escalations() -> list[int]:
        return [event.times for event in alerts.events() if isinstance(event, AlertEscalated)]

    alerts.until(lambda: len(escalations()) >= 2, "it is said twice")
    told = escalations()
    assert told == list(range(1, len(told) + 1)), "once a deadline"


def test_a_broker_that_is_away_is_waited_for_by_both_processes(
    alerts: AlertsStream, own_kafka: KafkaServer
) -> None:
    stream, api = alerts.begin("one"), alerts.begin(PAGES)
    alerts.until(lambda: stream.ready and api.ready, "both are ready")
    alerts.send(alerts.match(0))
    alerts.until(lambda: alerts.counts() == {"entry-1": 1}, "the first match is recorded")
    own_kafka.process.stop()
    with Browser(alerts, "Operator 1") as operator:
        (alert_id,) = alerts.alert_ids()
        operator.submit(alert_id, "judgement", verdict="true_alert", reason="features_agree")
    alerts.until(lambda: not stream.ready, "the stream says that something is away")
    own_kafka.process.begin_again()
    alerts.send(alerts.match(1))
    alerts.until(lambda: alerts.counts() == {"entry-1": 2}, "the second match is recorded")
    alerts.until(lambda: alerts.uncommitted() == 0, "everything is committed")
    alerts.until(lambda: len(alerts.events()) >= 2, "the judgement is published")
    assert [type(event) for event in alerts.events()[:2]] == [AlertRaised, JudgementMade]
    alerts.until(lambda: stream.ready, "the stream is ready again")


def test_an_open_page_hears_at_once_what_the_stream_wrote(alerts: AlertsStream) -> None:
    stream, api = alerts.begin("one"), alerts.begin(PAGES)
    alerts.until(lambda: stream.ready and api.ready, "both are ready")
    with Browser(alerts, "Operator 1") as operator, operator.events() as lines:
        alerts.send(alerts.match(0))
        line = next(line for line in lines if line.startswith("data:") and "alert_raised" in line)
    (alert_id,) = alerts.alert_ids()
    assert alert_id in line


def test_the_service_needs_no_more_at_kafka_than_its_own_login_may(
    tools_dir: Path, postgres: PostgresServer, tmp_path: Path
) -> None:
    with KafkaCluster.start(tools_dir, tmp_path / "secured") as cluster:
        equip(cluster)
        own, operator = cluster.login("alerts"), cluster.login(OPERATOR)
        assert own is not None
        told, database_url = login_environment(own), postgres.database()
        with AlertsStream(tmp_path, cluster.bootstrap, database_url, told=told, operator=operator) as alerts:
            stream, api = alerts.begin("one"), alerts.begin(PAGES)
            alerts.until(lambda: stream.ready and api.ready, "both are ready")
            alerts.send(alerts.match(0), alerts.match(0), alerts.match(1))
            alerts.send_raw(b"poison")
            alerts.until(lambda: alerts.uncommitted() == 0, "everything is committed")
            assert alerts.counts() == {"entry-1": 2}
            alerts.until(lambda: len(alerts.events()) == 1, "the alert is published")
            assert len(alerts.records(MATCHES.dead, MATCHES)) == 1
            alerts.until(lambda: len(alerts.records(ALERT_WINDOWS.name, MATCHES)) == 2, "the table is kept")
            alerts.until(lambda: stream.ready, "the stream is ready")
            assert own.password.get_secret_value() not in alerts.tails()
