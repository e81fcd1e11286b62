"""What stands on the brokers' disks is noise, and once the epoch of its key is over nobody can open it."""

from collections.abc import Mapping

import msgspec
import pytest

from overt.contracts.messages import FaceFound, FrameCaptured, TemplateMade
from overt.contracts.topics import FACES, FRAMES, TEMPLATES, Topic
from overt.contracts.wire import TopicWire
from overt.control.policy import SERVICES
from overt.runtime.broker import Record
from overt.runtime.envelope import key_id_of, unseal
from overt.runtime.keys import KeyGone, KeySource

from .records import newest
from .run import Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

READERS = {"detect": FRAMES, "embed": FACES, "match": TEMPLATES}
SHORT = {"OVERT_KEY_EPOCH_S": "5", "OVERT_KEY_LINGER_S": "5"}
# What every message of a topic says before it is sealed. No record's key and no key's id holds it.
NAMES: Mapping[str, tuple[bytes, ...]] = {
    FRAMES.name: (b"frame_captured.v1", b"captured_at_ns", b"height_px"),
    FACES.name: (b"face_found.v1", b"portrait_jpeg", b"landmarks_px", b"crop_rgb"),
    TEMPLATES.name: (b"template_made.v1", b"context_jpeg", b"fingerprint", b"dimension"),
}
# All pictures of one encoder begin alike. FF D8 FF alone, three bytes, is found in noise too.
START_BYTES = 20


def is_gone(keys: KeySource, key_id: str) -> bool:
    try:
        keys.by_id(key_id)
    except KeyGone:
        return True
    return False


def marks_of(topic: Topic, message: msgspec.Struct) -> list[bytes]:
    """Return what tells a message of `topic` from noise: names, and how its pictures and its template begin."""
    assert isinstance(message, FrameCaptured | FaceFound | TemplateMade)
    begins = (
        [message.jpeg]
        if isinstance(message, FrameCaptured)
        else [message.shot.portrait_jpeg, message.shot.context_jpeg]
    )
    begins += [message.template] if isinstance(message, TemplateMade) else []
    return [*NAMES[topic.name], *(one[:START_BYTES] for one in begins)]


def opened(record: Record, keys: KeySource) -> bytes:
    """Return what was sealed."""
    value = record.value or b""
    return unseal(value, keys.by_id(key_id_of(value)), topic=record.topic, record_key=record.key)


def not_in(content: bytes, marks: list[bytes]) -> list[bytes]:
    return [mark for mark in marks if mark not in content]


def test_what_stands_on_disk_is_noise_and_after_the_epoch_nobody_can_open_it(stage: Stage) -> None:
    stage.begin_anew("control", **SHORT)
    try:
        stage.order_all()
        Run(stage).watch(stage.recording.in_s)
        records = {service: newest(stage, topic) for service, topic in READERS.items()}
        everybody = {str(name): stage.system.keys_of(name) for name in SERVICES}
        marks: list[bytes] = []
        for service, topic in READERS.items():
            # Whoever may read it can, while the epoch lasts; and what is looked for on disk is what it says.
            message = TopicWire(topic, everybody[service]).open(records[service])  # type: ignore[var-annotated]
            of_topic = marks_of(topic, message)
            assert not_in(opened(records[service], everybody[service]), of_topic) == []
            marks += of_topic
        segments = stage.system.topics.keep_segments(stage.system.folder, list(READERS.values()))
        ids = [key_id_of(record.value or b"") for record in records.values()]
        stage.until(
            lambda: all(is_gone(keys, key_id) for keys in everybody.values() for key_id in ids),
            "the keys are gone, also from the memory of whoever held them",
        )
        on_disk = b"".join(path.read_bytes() for path in segments)
        assert not_in(on_disk, marks) == marks
        for service, topic in READERS.items():
            assert (records[service].value or b"") in on_disk  # it is still there, and stays closed
            afresh = stage.system.keys_of(service)
            for keys in (everybody[service], afresh):
                with pytest.raises(KeyGone):
                    TopicWire(topic, keys).open(records[service])
            afresh.close()
        for keys in everybody.values():
            keys.close()
    finally:
        stage.stop_orders()
        stage.begin_anew("control")
