"""The demo through six processes over a real Kafka: the same alerts, judged by people, and an orderly end."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import httpx
import msgspec
import pytest
from confluent_kafka import Producer

from overt.cli.demo import DemoFiles, prepare
from overt.cli.models import models_dir
from overt.contracts.codec import decode
from overt.contracts.events import (
    AlertRaised,
    AlertStrengthened,
    AnyAlertEvent,
    JudgementMade,
    OutcomeRecorded,
)
from overt.contracts.messages import DeadLetter, FaceFound, FrameCaptured, MatchMade, TemplateMade
from overt.contracts.topics import ALERTS, FACES, FRAMES, MATCHES, TEMPLATES, Topic, dead_letter_topic
from overt.contracts.wire import TopicWire
from overt.recognition.calibration import CPU_CALIBRATION
from overt.runtime.broker import Record
from overt.runtime.kafka_consumer import record_of

from .deployed import GRACE_S, WATCHLIST, Deployed
from .servers.kafka import KafkaServer
from .servers.milvus import MilvusServer
from .topics_seen import READERS

# The first test may have to fetch the models and compose the clip.
pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
THRESHOLD = CPU_CALIBRATION.default_threshold
CAMERA = "camera-1"
# Recordings that go round: each test that needs live video has a camera of its own, for an order each.
LOOPED = ("loop-dead-letter", "loop-stop", "loop-signal")
SEALED = (FRAMES, FACES, TEMPLATES, MATCHES)
SLICE_BYTES = 48

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Played:
    """The demo's clip was played once and everything of it was handled."""

    deployment_id: str
    events: Sequence[AnyAlertEvent]
    raw_events: Sequence[bytes]
    segments: Sequence[Path]
    on_topic: dict[str, Sequence[tuple[Record, msgspec.Struct]]]


@pytest.fixture(scope="session")
def cache() -> Path:
    return Path(os.environ.get("OVERT_CACHE_DIR") or ROOT / ".cache")


@pytest.fixture(scope="session")
def demo(cache: Path) -> DemoFiles:
    return prepare(cache)


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Return what prints a measured time; no test depends on one."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None

    def tell(text: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"\n  measured: {text}\n")

    return tell


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
def whole_system(
    kafka: KafkaServer, milvus: MilvusServer, demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """Everything runs, the photograph is enrolled, no order is issued yet."""
    names = {CAMERA: False} | dict.fromkeys(LOOPED, True)
    cameras = [{"camera_id": name, "source": str(demo.clip), "loop": loop} for name, loop in names.items()]
    folder = tmp_path_factory.mktemp("deployed")
    with Deployed(folder, kafka, milvus, models_dir(demo.clip.parents[1]), cameras) as system:
        try:
            system.start()
            enrol(system, demo)
        except BaseException as error:
            error.add_note(system.tails())
            raise
        yield system


def enrol(system: Deployed, demo: DemoFiles) -> None:
    (photograph,) = demo.watchlist.iterdir()
    picture = b64encode(photograph.read_bytes()).decode()
    body = {"label": photograph.stem, "category": "blue_list", "picture": picture}
    assert (
        system.officer("POST", f"/watchlists/{WATCHLIST}/pictures", body).json()["entry_id"] == "blue-list-1"
    )


@pytest.fixture
def system(whole_system: Deployed, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    """The running system; started again after a test that ended it, and its logs shown after one that failed."""
    if not whole_system.all_live():
        whole_system.close()
        whole_system.start()
    failed_before = request.session.testsfailed
    yield whole_system
    if request.session.testsfailed > failed_before:
        sys.stderr.write(whole_system.tails())


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
    deployment_id = system.issue_order(CAMERA, THRESHOLD)
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
    raw = [record.value or b"" for record in system.topics.records(ALERTS)]
    events = [cast("AnyAlertEvent", decode(ALERTS, value)) for value in raw]
    return Played(
        deployment_id,
        [event for event in events if event.deployment_id == deployment_id],
        raw,
        system.topics.keep_segments(folder, SEALED),
        {topic.name: opened(system, topic) for topic in SEALED},
    )


def published(system: Deployed) -> bool:
    with sqlite3.connect(f"file:{system.alerts_database}?mode=ro", uri=True) as database:
        unsent: int = database.execute("SELECT count(*) FROM outbox WHERE sent_at_ns IS NULL").fetchone()[0]
    database.close()
    return unsent == 0


def opened(system: Deployed, topic: Topic) -> Sequence[tuple[Record, msgspec.Struct]]:
    """Read up to 20 records of a sealed topic and open them with the keys of the service that may."""
    keys = system.keys_of("match")
    wire: TopicWire[msgspec.Struct] = TopicWire(topic, keys)
    try:
        return [(record, wire.open(record)) for record in system.topics.records(topic, at_most=20)]
    finally:
        keys.close()


def alert_rows(system: Deployed, deployment_id: str) -> list[tuple[str, str]]:
    query = "SELECT entry_id, camera_id FROM alerts WHERE deployment_id = ? ORDER BY first_at_ns"
    with sqlite3.connect(f"file:{system.alerts_database}?mode=ro", uri=True) as database:
        rows = database.execute(query, (deployment_id,)).fetchall()
    database.close()
    return rows


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


class Browser:
    """One person's browser: signs in with the link that the alerts process printed; fills in forms."""

    def __init__(self, system: Deployed, person: str) -> None:
        pattern = re.compile(rf"{re.escape(person)}: (http://[^/]+)/login\?token=([0-9a-f]+)")
        (found,) = [found for line in system.services["alerts"].lines if (found := pattern.fullmatch(line))]
        self._client = httpx.Client(base_url=found[1], trust_env=False)
        assert self._client.post("/login", data={"token": found[2]}).status_code == httpx.codes.SEE_OTHER

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> str:
        answer = self._client.get(path)
        assert answer.is_success, answer.text
        return answer.text

    def picture(self, path: str) -> bytes:
        return self._client.get(path).raise_for_status().content

    def submit(self, alert_id: str, form: str, **answers: str) -> None:
        page = self.get(f"/alerts/{alert_id}")
        hidden = {name: self._hidden(page, name) for name in ("csrf", "version")}
        answer = self._client.post(f"/alerts/{alert_id}/{form}", data={**hidden, **answers})
        assert answer.status_code == httpx.codes.SEE_OTHER, answer.text

    @staticmethod
    def _hidden(page: str, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]+)"', page)
        assert found is not None, f"no {name} on the page"
        return found[1]


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


def test_poison_is_parked_with_its_reason_and_the_pipeline_goes_on(system: Deployed) -> None:
    camera_id, detect = LOOPED[0], system.services["detect"]
    with system.capturing(camera_id, THRESHOLD):
        real = next(
            record for record in reversed(system.topics.records(FRAMES)) if record.key == camera_id.encode()
        )
        sealed = real.value or b""
        places = produce(system, real.key, [b"not sealed", sealed[:-1] + bytes([sealed[-1] ^ 1])])
        letters: dict[tuple[int, int], DeadLetter] = {}

        def both_are_parked() -> bool:
            for record in system.topics.records(dead_letter_topic(FRAMES)):
                letter = cast("DeadLetter", decode(dead_letter_topic(FRAMES), record.value or b""))
                letters[letter.partition, letter.offset] = letter
            return letters.keys() >= set(places)

        system.until(both_are_parked, "both records are in frames.v1.dead")
        plain, tampered = (letters[place] for place in places)
        read = detect.metric("overt_loop_records_total", topic=FRAMES.name, outcome="read")
        system.until(
            lambda: detect.metric("overt_loop_records_total", topic=FRAMES.name, outcome="read") > read + 10,
            "detect goes on",
        )
    assert (plain.topic, plain.reason, plain.value) == (FRAMES.name, "payload is not sealed", None)
    assert tampered.reason == "payload does not belong to this topic, key and deployment"
    assert tampered.size_bytes == len(sealed)


def produce(system: Deployed, key: bytes, values: Sequence[bytes]) -> list[tuple[int, int]]:
    """Produce to frames.v1 as anybody with access to Kafka could; return partition and offset of each."""
    producer = Producer({"bootstrap.servers": system.kafka.bootstrap, "partitioner": "murmur2_random"})
    delivered: list[Record] = []
    for value in values:
        producer.produce(FRAMES.name, value, key, on_delivery=lambda _, at: delivered.append(record_of(at)))
        assert producer.flush(10) == 0
    return [(record.partition, record.offset) for record in delivered]


def test_stop_at_control_ends_capture(system: Deployed, report: Report) -> None:
    camera_id, ingest = LOOPED[1], system.services["ingest"]
    with system.capturing(camera_id, THRESHOLD) as deployment_id:
        asked_s = time.time()
        system.stop_order(deployment_id)
        answered_s = time.time()
        system.until(lambda: ingest.said("capture ended", camera=camera_id) is not None, "capture has ended")
        sent = ingest.metric("overt_ingest_frames_sent_total", camera=camera_id)
        assert system.topics.silent_for(FRAMES, 2.0)
        assert ingest.metric("overt_ingest_frames_sent_total", camera=camera_id) == sent
    last_s = max(r.timestamp_ms for r in system.topics.records(FRAMES) if r.key == camera_id.encode()) / 1000
    report(
        f"stop: answered after {answered_s - asked_s:.3f} s, last record {last_s - asked_s:+.3f} s after asking"
    )


def test_a_stopped_deployment_leaves_keys_to_nobody(system: Deployed) -> None:
    deployment_id = system.issue_order("no-such-camera", THRESHOLD)
    token = {"Authorization": f"Bearer {system.tokens['detect']}"}
    address = f"{system.control_url}/v1/keys/current"
    asked = {"scope": deployment_id, "kind": "epoch"}
    assert httpx.get(address, params=asked, headers=token, trust_env=False).status_code == httpx.codes.OK
    system.stop_order(deployment_id)
    assert (
        httpx.get(address, params=asked, headers=token, trust_env=False).status_code == httpx.codes.NOT_FOUND
    )


def test_nothing_personal_stands_in_a_log(system: Deployed, played: Played) -> None:
    said = "\n".join(line for service in system.services.values() for line in service.lines)
    assert "capture begins" in said or system.services["control"].said("started") is not None
    for word in ("blue-list-1", *system.tokens.values()):
        assert word not in said


def test_every_service_ends_with_code_0_at_sigterm_while_it_works(system: Deployed, report: Report) -> None:
    system.issue_order(LOOPED[2], THRESHOLD)
    ingest = system.services["ingest"]
    system.until(
        lambda: ingest.metric("overt_ingest_frames_sent_total", camera=LOOPED[2]) > 0, "frames are sent"
    )
    ended = {name: system.services[name].terminate() for name in ("ingest", *READERS, "control")}
    report(
        "ended after SIGTERM: " + ", ".join(f"{name} {took_s:.2f} s" for name, (_, took_s) in ended.items())
    )
    assert {name: code for name, (code, _) in ended.items()} == dict.fromkeys(ended, 0)
    assert max(took_s for _, took_s in ended.values()) < GRACE_S  # stop() kills after it
