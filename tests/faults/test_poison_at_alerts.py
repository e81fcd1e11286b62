"""Poison on the topics that only the alerts service writes: alerts.v1, audit.v1 and its own changelog."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from overt.cli.verify import NoRun, alerts_of
from overt.contracts.topics import ALERT_WINDOWS, ALERTS, AUDIT, MATCHES
from overt.runtime.broker import Record
from tests.integration.alerts_stream import AlertsStream
from tests.integration.deployed import PAGES
from tests.integration.servers.kafka import KafkaServer

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(300)]

Poison = tuple[bytes | None, bytes | None]
RUBBISH: Sequence[Poison] = [(b"key", b"\xc1"), (b"key", b""), (b"key", None), (None, b"{}"), (None, None)]


@pytest.fixture
def alerts(tools_dir: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[AlertsStream]:
    failed_before = request.session.testsfailed
    database_url = f"sqlite:///{tmp_path / 'alerts.db'}"
    with (
        KafkaServer.start(tools_dir, tmp_path / "kafka") as kafka,
        AlertsStream(tmp_path, kafka.bootstrap, database_url) as world,
    ):
        yield world
        if request.session.testsfailed > failed_before:
            sys.stderr.write(world.tails())


def put(alerts: AlertsStream, topic: str, partitions: int, poison: Sequence[Poison]) -> None:
    """Produce `poison` to every partition, as anybody with access to Kafka could."""
    producer = Producer({"bootstrap.servers": alerts.bootstrap})
    errors: list[KafkaError | None] = []
    for partition in range(partitions):
        for key, value in poison:
            producer.produce(topic, value, key, partition, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    assert errors == [None] * partitions * len(poison)


def test_poison_where_alerts_only_writes_changes_nothing_and_a_reader_is_told_where_it_stands(
    alerts: AlertsStream,
) -> None:
    # audit.v1 is compacted: the broker itself refuses a record without a key there.
    with_key = [one for one in RUBBISH if one[0] is not None]
    stream, pages = alerts.begin("one"), alerts.begin(PAGES)
    alerts.until(lambda: stream.ready and pages.ready, "both are ready")
    alerts.send(alerts.match(0))
    alerts.until(lambda: len(alerts.events()) == 1, "the alert is published")
    put(alerts, ALERTS.name, ALERTS.partitions, RUBBISH)
    put(alerts, AUDIT.name, AUDIT.partitions, with_key)
    for name in ("one", PAGES):
        assert alerts.services[name].terminate()[0] == 0
    stream, pages = alerts.begin("one"), alerts.begin(PAGES)
    alerts.until(lambda: stream.ready and pages.ready, "both are ready again")
    alerts.send(alerts.match(0), alerts.match(1), alerts.match(0, entry=2))
    alerts.until(lambda: alerts.counts() == {"entry-1": 2, "entry-2": 1}, "it goes on")
    found = alerts.records(ALERTS.name, ALERTS)
    poison = [one for one in found if not is_event(one)]
    alerts.until(lambda: len(alerts.records(ALERTS.name, ALERTS)) == len(poison) + 2, "it is published")
    assert len(poison) == ALERTS.partitions * len(RUBBISH)
    with pytest.raises(NoRun, match=rf"^{ALERTS.name}, partition \d, offset \d+: not json$"):
        alerts_of(found)


def is_event(record: Record) -> bool:
    try:
        return len(alerts_of([record])) == 1
    except NoRun:
        return False


def test_a_poisoned_changelog_keeps_no_stream_from_its_start(alerts: AlertsStream) -> None:
    stream = alerts.begin("one")
    alerts.until(lambda: stream.ready, "the stream is ready")
    alerts.send(*(alerts.match(number, entry) for entry in (1, 2) for number in range(3)))
    alerts.until(lambda: alerts.counts() == {"entry-1": 3, "entry-2": 3}, "everything is counted")
    alerts.until(lambda: len(alerts.records(ALERT_WINDOWS.name, MATCHES)) >= 6, "the table is kept")
    assert stream.terminate()[0] == 0
    odd_keys = [(key, b"[]") for key in (b"\xc1", b"", b"{}", b"[{}, 1]", b'"text"', b'["a", [0, {}]]', b"7")]
    keys = {record.key for record in alerts.records(ALERT_WINDOWS.name, MATCHES)}
    odd_values = [
        (key, value) for key in keys for value in (b"null", b"{}", b"[7]", b"[[]]", b'"text"', b"7")
    ]
    put(alerts, ALERT_WINDOWS.name, MATCHES.partitions, [*odd_values, *RUBBISH[:3], *odd_keys])
    stream = alerts.begin("two")
    alerts.until(lambda: stream.ready, "the stream is ready again")
    alerts.send(*(alerts.match(number, entry) for entry in (1, 2) for number in range(4)))
    alerts.until(lambda: alerts.uncommitted() == 0, "everything is committed")
    assert alerts.counts() == {"entry-1": 4, "entry-2": 4}
    assert stream.process.alive
    assert stream.terminate()[0] == 0
