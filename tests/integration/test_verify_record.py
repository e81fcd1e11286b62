"""`overt verify record` on a real broker: what it writes, and what it says when the broker is away."""

import subprocess
import sys
from pathlib import Path

import pytest

from overt.cli.runs import AlertLine
from overt.cli.verify import read_run
from overt.contracts.codec import encode
from overt.contracts.events import AlertRaised, AnyAlertEvent, JudgementMade
from overt.contracts.topic_specs import topic_specs
from overt.contracts.topics import ALERTS
from overt.runtime.kafka import KafkaBroker, create_topics

from .servers.kafka import KafkaServer
from .servers.process import LOOPBACK, free_ports

pytestmark = pytest.mark.integration

DEPLOYMENT = "deployment-verify-record"
TIMEOUT_S = 60


def record(bootstrap: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "overt.cli", "verify", "record", "--kafka", bootstrap]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)


def raised(alert_id: str, at_ns: int) -> AlertRaised:
    return AlertRaised(
        alert_id, DEPLOYMENT, 1, at_ns, 1, entry_id="entry-1", watchlist_id="list-1", camera_id="camera-1",
        captured_at_ns=at_ns, similarity=0.5, threshold=0.4, link=f"/alerts/{alert_id}",
    )  # fmt: skip


def judged(alert_id: str, sequence: int) -> JudgementMade:
    return JudgementMade(alert_id, DEPLOYMENT, sequence, 90, 1, ordinal=1, state="awaiting_second")


def produce(bootstrap: str, events: list[AnyAlertEvent]) -> None:
    producer = KafkaBroker(bootstrap, client_id="test").producer()
    try:
        for event in events:
            producer.produce(ALERTS.name, event.alert_id.encode(), encode(ALERTS, event))
        producer.flush(TIMEOUT_S)
    finally:
        producer.close()


def test_the_alerts_on_the_topic_are_written_a_line_each_oldest_first(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    create_topics(kafka.bootstrap, [spec for spec in topic_specs() if spec.name == ALERTS.name])
    twice = raised("alert-2", 20)
    events: list[AnyAlertEvent] = [
        twice,
        twice,
        raised("alert-1", 10),
        judged("alert-1", 2),
        judged("alert-2", 3),
    ]
    produce(kafka.bootstrap, events)
    done = record(kafka.bootstrap)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "run.jsonl").write_text(done.stdout)
    mine = [line for line in read_run(tmp_path / "run.jsonl") if line.deployment_id == DEPLOYMENT]
    assert mine == [
        AlertLine("alert-1", "entry-1", "camera-1", 10, DEPLOYMENT, judgements=1),
        AlertLine("alert-2", "entry-1", "camera-1", 20, DEPLOYMENT, judgements=1, missing=(2,)),
    ]


def test_a_broker_that_is_away_is_said_in_one_line_with_exit_code_1() -> None:
    (port,) = free_ports(1)
    done = record(f"{LOOPBACK}:{port}")
    assert (done.returncode, done.stdout) == (1, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"overt: cannot reach Kafka at {LOOPBACK}:{port}")
