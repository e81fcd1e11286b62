"""The demo through six processes over a real Kafka: the same alerts, judged by people, and nothing in the clear."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from overt.alerts.tables import AlertRow, OutboxRow
from overt.cli.demo import DemoFiles
from overt.contracts.codec import decode
from overt.contracts.events import (
    AlertRaised,
    AlertStrengthened,
    AnyAlertEvent,
    JudgementMade,
    OutcomeRecorded,
)
from overt.contracts.messages import FaceFound, FrameCaptured, MatchMade, TemplateMade
from overt.contracts.topics import ALERTS, FACES, FRAMES, MATCHES, TEMPLATES, Topic
from overt.contracts.wire import TopicWire
from overt.runtime.broker import Record

from .control_room import Browser
from .deployed import CAMERA, Deployed, Report
from .servers.kafka_cluster import USERS
from .topics_seen import READERS

# The first test may have to fetch the models and compose the clip.
pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(900)]

SEALED = (FRAMES, FACES, TEMPLATES, MATCHES)
SLICE_BYTES = 48


@dataclass(frozen=True, slots=True)
class Played:
    """The demo's clip was played once and everything of it was handled."""

    deployment_id: str
    events: Sequence[AnyAlertEvent]
    segments: Sequence[Path]
    on_topic: dict[str, Sequence[tuple[Record, msgspec.Struct]]]


@pytest.fixture(scope="session")
def in_one_process(
    demo: DemoFiles, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Sequence[dict[str, object]]:
    """Return the alerts of the same demo in one process."""
    data = tmp_path_factory.mktemp("one-process")
    told = [
        "demo",
        "--once",
        "--json",
        "--no-open",
        "--port",
        "0",
        "--data",
        str(data),
        "--cache",
        str(cache),
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "overt.cli", *told], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return cast("list[dict[str, object]]", json.loads(ended.stdout)["alerts"])


@pytest.fixture(scope="session")
def played(
    in_one_process: Sequence[dict[str, object]],
    whole_system: Deployed,
    tmp_path_factory: pytest.TempPathFactory,
    report: Report,
) -> Played:
    """Play the clip once, live, under an order issued last, and wait until everything of it was handled."""
    assert in_one_process is not None  # ran before, so that the two don't share the machine
    system, begun_s = whole_system, time.monotonic()
    system.ensure_running()
    deployment_id = system.issue_order(CAMERA)
    try:
        ingest = system.services["ingest"]
        system.until(lambda: ingest.said("capture ended", camera=CAMERA) is not None, "the clip has ended")
        system.until(lambda: all(map(system.topics.is_consumed, READERS)), "everything is consumed")
        system.until(lambda: published(system), "the outbox is empty")
    except BaseException as error:
        error.add_note(system.tails())
        raise
    report(f"the clip was played and handled in {time.monotonic() - begun_s:.1f} s")
    folder = tmp_path_factory.mktemp("segments")
    records = system.topics.records(ALERTS)
    events = [cast("AnyAlertEvent", decode(ALERTS, record.value or b"")) for record in records]
    return Played(
        deployment_id,
        [event for event in events if event.deployment_id == deployment_id],
        system.topics.keep_segments(folder, SEALED),
        {topic.name: opened(system, topic) for topic in SEALED},
    )


@contextmanager
def database(system: Deployed) -> Iterator[Session]:
    """A session at the alerts' database, to look and not to write."""
    engine = create_engine(system.alerts_database_url)
    with Session(engine) as session:
        yield session
    engine.dispose()


def published(system: Deployed) -> bool:
    with database(system) as session:
        query = select(func.count()).select_from(OutboxRow).where(OutboxRow.sent_at_ns.is_(None))
        return session.scalar(query) == 0


def opened(system: Deployed, topic: Topic) -> Sequence[tuple[Record, msgspec.Struct]]:
    """Read up to 20 records of a sealed topic and open them with the keys of the service that may."""
    keys = system.keys_of("match")
    wire: TopicWire[msgspec.Struct] = TopicWire(topic, keys)
    try:
        return [(record, wire.open(record)) for record in system.topics.records(topic, at_most=20)]
    finally:
        keys.close()


def alert_rows(system: Deployed, deployment_id: str) -> list[tuple[str, str]]:
    query = select(AlertRow).where(AlertRow.deployment_id == deployment_id).order_by(AlertRow.first_at_ns)
    with database(system) as session:
        return [(row.entry_id, row.camera_id) for row in session.scalars(query)]


def the_alert(played: Played) -> AlertRaised:
    (raised,) = [event for event in played.events if isinstance(event, AlertRaised)]
    return raised


def test_six_processes_raise_the_same_alerts_as_one(
    system: Deployed, played: Played, in_one_process: Sequence[dict[str, object]], report: Report
) -> None:
    expected = sorted((str(alert["entry"]), str(alert["camera"])) for alert in in_one_process)
    assert expected == [("blue-list-1", CAMERA)]
    raised = [event for event in played.events if isinstance(event, AlertRaised)]
    assert sorted((event.entry_id, event.camera_id) for event in raised) == expected
    assert alert_rows(system, played.deployment_id) == expected
    assert raised[0].threshold == pytest.approx(in_one_process[0]["threshold"], abs=1e-3)
    tell_latency(system, in_one_process, report)


def tell_latency(system: Deployed, in_one_process: Sequence[dict[str, object]], report: Report) -> None:
    alerts, ingest, detect = (system.services[name] for name in ("alerts", "ingest", "detect"))
    total_s = alerts.metric("overt_alerts_capture_to_alert_seconds_sum")
    count = alerts.metric("overt_alerts_capture_to_alert_seconds_count")
    one_ms = in_one_process[0]["latency_ms"]
    report(f"picture to alert: {total_s / max(count, 1) * 1000:.0f} ms in six processes, {one_ms} ms in one")
    read, sent = (
        ingest.metric(f"overt_ingest_frames_{what}_total", camera=CAMERA) for what in ("read", "sent")
    )
    dropped = ingest.metric("overt_ingest_frames_dropped_total", camera=CAMERA)
    skipped = detect.metric("overt_detect_frames_skipped_total", camera=CAMERA)
    report(
        f"frames: {read:.0f} read, {sent:.0f} sent, {dropped:.0f} dropped, {skipped:.0f} skipped by detect"
    )


def test_the_segments_on_the_brokers_disk_hold_no_plain_picture_crop_or_template(played: Played) -> None:
    disk: dict[str, bytes] = {}
    for path in played.segments:
        topic_name = path.name.rpartition(".")[0]
        disk[topic_name] = disk.get(topic_name, b"") + path.read_bytes()
    for topic in SEALED:
        pairs = played.on_topic[topic.name]
        assert pairs, f"nothing stood on {topic.name}: nothing was shown"
        plain = [part for _, message in pairs for part in plain_parts(message)]
        assert plain
        # The sealed bytes are there, so this is where the plain ones would be.
        assert all((record.value or b"") in disk[topic.name] for record, _ in pairs)
        for part in plain:
            assert not any(part in stored for stored in disk.values())


def plain_parts(message: msgspec.Struct) -> list[bytes]:
    """Return the beginning and the middle of every picture, crop and template: enough to know it by."""
    whole: list[bytes] = []
    if isinstance(message, FrameCaptured):
        whole = [message.jpeg]
    elif isinstance(message, FaceFound | TemplateMade | MatchMade):
        shot = message.shot
        whole = [shot.crop_rgb, shot.portrait_jpeg, shot.context_jpeg]
    if isinstance(message, TemplateMade):
        whole.append(message.template)
    ends = [(bytes_, len(bytes_) // 2) for bytes_ in whole]
    return [
        part
        for bytes_, middle in ends
        for part in (bytes_[:SLICE_BYTES], bytes_[middle : middle + SLICE_BYTES])
    ]


def test_two_people_judge_and_the_events_arrive_in_order_without_pictures(
    system: Deployed, played: Played
) -> None:
    alert_id = the_alert(played).alert_id
    for person in ("Operator 1", "Operator 2"):
        with Browser(system, person) as operator:
            operator.submit(alert_id, "judgement", verdict="true_alert", reason="features_agree")
    with Browser(system, "Engagement officer") as officer:
        officer.submit(alert_id, "outcome", engagement="confirmed_true", outcome="no_action")
        assert "Closed" in officer.get(f"/alerts/{alert_id}")
    system.until(lambda: published(system), "the outbox is empty")
    raw = [record.value or b"" for record in system.topics.records(ALERTS) if record.key == alert_id.encode()]
    events = [cast("AnyAlertEvent", decode(ALERTS, value)) for value in raw]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = [type(event) for event in events if not isinstance(event, AlertStrengthened)]
    assert kinds == [AlertRaised, JudgementMade, JudgementMade, OutcomeRecorded]
    states = [event.state for event in events if isinstance(event, JudgementMade)]
    assert states == ["awaiting_second", "judged_true"]
    assert max(map(len, raw)) < 1_000  # no room for a picture, in whatever coding


def test_the_judges_see_both_pictures_and_the_scene(system: Deployed, played: Played) -> None:
    alert_id = the_alert(played).alert_id
    with Browser(system, "Supervisor") as supervisor:

        def links() -> list[str]:
            page = supervisor.get(f"/alerts/{alert_id}")
            return [link.replace("&amp;", "&") for link in re.findall(r'src="(/pictures/[^"]+)"', page)]

        # The reference comes from control, a moment after the alert.
        system.until(lambda: len(links()) == 3, "portrait, reference and context are on the page")
        assert all(supervisor.picture(link).startswith(b"\xff\xd8\xff") for link in links())


def test_nothing_personal_stands_in_a_log(system: Deployed, played: Played) -> None:
    said = "\n".join(line for service in system.services.values() for line in service.lines)
    assert system.services["alerts"].said("alert raised") is not None
    logins = [login for user in USERS if (login := system.login(user))]
    passwords = [login.password.get_secret_value() for login in logins]
    assert len(passwords) == len(USERS)
    for word in ("blue-list-1", system.alerts_database_url, *system.tokens.values(), *passwords):
        assert word not in said
