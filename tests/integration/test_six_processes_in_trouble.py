"""Six processes when something is wrong: poison, a stop, a signal, a server or a token that is not there."""

import time
from collections.abc import Mapping, Sequence
from typing import cast

import httpx
import pytest
from confluent_kafka import Producer

from overt.contracts.codec import decode
from overt.contracts.messages import DeadLetter
from overt.contracts.topics import FRAMES, dead_letter_topic
from overt.control.policy import SERVICES
from overt.runtime.broker import Record
from overt.runtime.kafka_consumer import record_of

from .deployed import GRACE_S, LOOPED, PAGES, PROCESSES, Deployed, Report
from .servers.serve import login_environment

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(900)]

NOWHERE = "127.0.0.1:1"


def test_poison_is_parked_with_its_reason_and_the_pipeline_goes_on(system: Deployed) -> None:
    camera_id, detect = LOOPED[0], system.services["detect"]
    with system.capturing(camera_id):
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
    """Produce to frames.v1 as whoever took ingest's login could; return partition and offset of each."""
    login = system.login("ingest")
    assert login is not None
    producer = Producer(
        {
            "bootstrap.servers": system.kafka.bootstrap,
            "partitioner": "murmur2_random",
            **login.client_config(),
        }
    )
    delivered: list[Record] = []
    for value in values:
        producer.produce(FRAMES.name, value, key, on_delivery=lambda _, at: delivered.append(record_of(at)))
        assert producer.flush(10) == 0
    return [(record.partition, record.offset) for record in delivered]


def test_stop_at_control_ends_capture(system: Deployed, report: Report) -> None:
    camera_id, ingest = LOOPED[1], system.services["ingest"]
    with system.capturing(camera_id) as deployment_id:
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
    deployment_id = system.issue_order("no-such-camera")
    token = {"Authorization": f"Bearer {system.tokens['detect']}"}
    address = f"{system.control_url}/v1/keys/current"
    asked = {"scope": deployment_id, "kind": "epoch"}
    assert httpx.get(address, params=asked, headers=token, trust_env=False).status_code == httpx.codes.OK
    system.stop_order(deployment_id)
    assert (
        httpx.get(address, params=asked, headers=token, trust_env=False).status_code == httpx.codes.NOT_FOUND
    )


def ends_of(system: Deployed, names: Sequence[str], changes: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    """Start each service once more, told `changes`; return exit codes and the one error each wrote."""
    aside = {
        "OVERT_DATA_DIR": str(system.folder / "aside"),
        "OVERT_ALERTS_DATABASE_URL": f"sqlite:///{system.folder / 'aside.db'}",
    }
    begun = {name: system.begin(name, alias=f"{name}-aside", **aside, **changes) for name in names}
    ends: dict[str, tuple[int, str]] = {}
    for name, service in begun.items():
        code = service.await_end()
        assert "Traceback" not in "".join(service.lines)
        said = [line for line in service.lines if '"error"' in line]
        assert len(said) == 1, service.tail()
        # One that could not begin has nothing more to say.
        assert service.said("started") or said == service.lines[-1:], service.tail()
        ends[name] = (code, said[0])
        system.forget(f"{name}-aside")
    return ends


CASES = {
    "no Kafka": (
        ("control", *SERVICES),
        {"OVERT_KAFKA_BOOTSTRAP": NOWHERE},
        f"cannot reach Kafka at {NOWHERE}",
    ),
    "no Milvus": (
        ("control", "match"),
        {"OVERT_MILVUS_URI": f"http://{NOWHERE}", "OVERT_MILVUS_PATIENCE_S": "0"},
        f"the gallery does not answer: Fail connecting to server on {NOWHERE}",
    ),
    "a wrong password at Kafka": (
        ("control", "ingest", "alerts", PAGES),
        {"OVERT_KAFKA_PASSWORD": "of nobody that Kafka knows"},
        "refused the login of user",
    ),
    # The same code for every service, before it builds anything of its own.
    "no control": (
        ("ingest", "alerts"),
        {"OVERT_CONTROL_URL": f"http://{NOWHERE}", "OVERT_CONTROL_PATIENCE_S": "0"},
        f"cannot reach control at http://{NOWHERE}",
    ),
    "a wrong token": (
        ("ingest", "alerts"),
        {"OVERT_SERVICE_TOKEN": "of nobody that control knows"},
        "answered 401: it does not know this service's token",
    ),
}


@pytest.mark.parametrize(("names", "changes", "reason"), CASES.values(), ids=CASES)
def test_a_service_that_cannot_begin_says_why_in_one_line_and_ends_with_code_2(
    system: Deployed, names: Sequence[str], changes: Mapping[str, str], reason: str
) -> None:
    ends = ends_of(system, names, changes)
    assert {name: code for name, (code, _) in ends.items()} == dict.fromkeys(names, 2)
    for name, (_, last) in ends.items():
        assert "could not begin" in last, name
        assert reason in last, name
        assert "of nobody" not in last, name


# Each process under another service's name, and one thing of its own that this may not do.
FOREIGN_LOGINS = {
    "control": ("alerts", "write topic deployments.v1"),
    "ingest": ("detect", "write topic frames.v1"),
    "detect": ("embed", "read topic frames.v1"),
    "embed": ("match", "write topic templates.v1"),
    "match": ("embed", "read group match"),
    "alerts": ("match", "write topic alert-windows.v1"),
    PAGES: ("ingest", "read group alerts"),
}


@pytest.mark.parametrize(
    ("name", "other", "refused"), [(name, *told) for name, told in FOREIGN_LOGINS.items()]
)
def test_a_service_with_the_login_of_another_does_not_begin_and_names_user_and_topic(
    system: Deployed, name: str, other: str, refused: str
) -> None:
    ends = ends_of(system, [name], login_environment(system.login(other)))
    code, said = ends[name]
    assert code == 2
    assert f"user {other} may not " in said
    assert refused in said


def test_every_service_ends_with_code_0_at_sigterm_while_it_works(system: Deployed, report: Report) -> None:
    system.issue_order(LOOPED[2])
    ingest = system.services["ingest"]
    system.until(
        lambda: ingest.metric("overt_ingest_frames_sent_total", camera=LOOPED[2]) > 0, "frames are sent"
    )
    ended = {name: system.services[name].terminate() for name in (*PROCESSES, "control")}
    report(
        "ended after SIGTERM: " + ", ".join(f"{name} {took_s:.2f} s" for name, (_, took_s) in ended.items())
    )
    assert {name: code for name, (code, _) in ended.items()} == dict.fromkeys(ended, 0)
    assert max(took_s for _, took_s in ended.values()) < GRACE_S  # stop() kills after it
