"""Sealing and opening: every topic under the right key, and nothing in the clear anywhere else."""

from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overt.contracts.codec import decode
from overt.contracts.events import AlertStrengthened
from overt.contracts.messages import (
    AuditHead,
    CaptureEnded,
    DeadLetter,
    FrameCaptured,
    MatchMade,
)
from overt.contracts.orders import Order, sign
from overt.contracts.topics import (
    ALERTS,
    AUDIT,
    DEPLOYMENTS,
    FACES,
    FRAMES,
    MATCHES,
    TEMPLATES,
    TOPICS,
    Topic,
    dead_letter_topic,
)
from overt.contracts.wire import Out, TopicWire
from overt.runtime.broker import Record
from overt.runtime.clock import ManualClock
from overt.runtime.envelope import DataKey, is_sealed, seal
from overt.runtime.keys import KeyGone, KeyKind, KeyRing
from overt.runtime.loop import RecordRefused

LASTING = DataKey("dep-1/lasting/1", "dep-1", bytes(range(32)), None)
SEALED = [topic for topic in TOPICS.values() if topic.sealed is not None]
EPOCH = [topic for topic in SEALED if topic.sealed == "epoch"]


class Handed:
    """A key source that hands out one key, whatever is asked for."""

    def __init__(self, key: DataKey) -> None:
        self._key = key

    def current(self, scope: str, kind: KeyKind) -> DataKey:
        return self._key

    def by_id(self, key_id: str) -> DataKey:
        return self._key


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(clock: ManualClock) -> KeyRing:
    ring = KeyRing(clock)
    ring.open("dep-1", LASTING)
    return ring


@pytest.fixture
def messages(request: pytest.FixtureRequest, key: Ed25519PrivateKey) -> dict[str, msgspec.Struct]:
    """One message for each topic, by its name."""
    named = {FRAMES: "frame", FACES: "face", TEMPLATES: "template", MATCHES: "match"}
    order: Order = request.getfixturevalue("make_order")()
    return {
        **{topic.name: request.getfixturevalue(name) for topic, name in named.items()},
        ALERTS.name: AlertStrengthened("a-1", "dep-1", 1, 5, 1, 0.5),
        DEPLOYMENTS.name: sign(order, key),
        AUDIT.name: AuditHead("main", 1, "0" * 64, 5),
    }


def wire(topic: Topic, keys: Any) -> TopicWire[msgspec.Struct]:
    return TopicWire(topic, keys)


def record(topic: Topic, value: bytes | None, record_key: bytes = b"k") -> Record:
    return Record(topic.name, 2, 40, record_key, value, 0)


def sealed(topic: Topic, keys: Any, message: msgspec.Struct, record_key: str = "k") -> bytes:
    value = wire(topic, keys).seal(Out(topic, record_key, message)).value
    assert value is not None
    return value


def refusal(topic: Topic, keys: Any, record: Record) -> str:
    with pytest.raises(RecordRefused) as caught:
        wire(topic, keys).open(record)
    return str(caught.value)


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_what_is_sealed_for_a_topic_opens_there(
    topic: Topic, keys: KeyRing, messages: dict[str, msgspec.Struct]
) -> None:
    addressed = wire(topic, keys).seal(Out(topic, "k", messages[topic.name]))
    assert (addressed.topic, addressed.key) == (topic.name, b"k")
    assert addressed.value is not None
    assert is_sealed(addressed.value) == (topic.sealed is not None)
    assert len(addressed.value) <= topic.max_value_bytes
    assert wire(topic, keys).open(record(topic, addressed.value)) == messages[topic.name]


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_nothing_of_a_face_is_in_the_clear_on_a_sealed_topic(
    topic: Topic, keys: KeyRing, messages: dict[str, msgspec.Struct]
) -> None:
    value = sealed(topic, keys, messages[topic.name])
    for clear in (b"\xff\xd8\xff", bytes([128]) * 64, b"north-gate", b"entry-3", b"type"):
        assert clear not in value


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_a_record_moved_to_another_key_or_topic_is_refused(
    topic: Topic, keys: KeyRing, messages: dict[str, msgspec.Struct]
) -> None:
    value = sealed(topic, keys, messages[topic.name])
    foreign = "payload does not belong to this topic, key and deployment"
    assert refusal(topic, keys, record(topic, value, b"other")) == foreign
    elsewhere = replace(topic, name="elsewhere.v1")
    assert refusal(elsewhere, keys, record(elsewhere, value)) == foreign


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_a_message_under_the_key_of_another_deployment_is_refused(
    topic: Topic, keys: KeyRing, messages: dict[str, msgspec.Struct]
) -> None:
    lasting = replace(LASTING, key_id="dep-2/lasting/1", scope="dep-2")
    keys.open("dep-2", lasting)
    other = keys.current("dep-2", topic.sealed or "epoch")
    plain = msgspec.msgpack.encode(messages[topic.name])
    value = seal(plain, other, topic=topic.name, record_key=b"k")
    assert refusal(topic, keys, record(topic, value)) == "message names another deployment than its key"


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_a_message_is_never_sealed_with_the_key_of_another_deployment(
    topic: Topic, messages: dict[str, msgspec.Struct]
) -> None:
    foreign = Handed(DataKey("k-2", "dep-2", bytes(32), 9e9))
    with pytest.raises(ValueError, match=r"^DataKey\('k-2'\) must not seal what stands on"):
        wire(topic, foreign).seal(Out(topic, "k", messages[topic.name]))


@pytest.mark.parametrize("topic", EPOCH, ids=lambda topic: topic.name)
def test_faces_without_an_alert_are_sealed_with_no_key_that_lasts(
    topic: Topic, messages: dict[str, msgspec.Struct]
) -> None:
    with pytest.raises(ValueError, match="must not seal what stands on"):
        wire(topic, Handed(LASTING)).seal(Out(topic, "k", messages[topic.name]))
    value = seal(msgspec.msgpack.encode(messages[topic.name]), LASTING, topic=topic.name, record_key=b"k")
    reason = refusal(topic, Handed(LASTING), record(topic, value))
    assert reason == "sealed with a key that is not destroyed in time"


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_a_message_in_the_clear_on_a_sealed_topic_is_refused(
    topic: Topic, keys: KeyRing, messages: dict[str, msgspec.Struct]
) -> None:
    plain = msgspec.msgpack.encode(messages[topic.name])
    assert refusal(topic, keys, record(topic, plain)) == "payload is not sealed"


def test_what_is_sealed_is_checked_like_anything_else(keys: KeyRing) -> None:
    key = keys.current("dep-1", "epoch")
    for plain, reason in (
        (b"\xc1", "not msgpack"),
        (b"\x80", "invalid: Object missing required field `type`"),
    ):
        value = seal(plain, key, topic=FRAMES.name, record_key=b"k")
        assert refusal(FRAMES, keys, record(FRAMES, value)) == reason


def test_a_record_without_a_value_is_refused(keys: KeyRing) -> None:
    assert refusal(FRAMES, keys, record(FRAMES, None)) == "record has no value"
    assert refusal(ALERTS, keys, record(ALERTS, None)) == "record has no value"


def test_an_oversize_record_is_refused_before_a_key_is_asked_for() -> None:
    value = b"OV1\x01k" + bytes(FRAMES.max_value_bytes)
    reason = refusal(FRAMES, KeyRing(ManualClock()), record(FRAMES, value))
    assert reason == f"oversize: {len(value)} bytes, frames.v1 takes {FRAMES.max_value_bytes}"


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_with_its_key_destroyed_a_record_is_gone_not_bad(
    topic: Topic, keys: KeyRing, messages: dict[str, msgspec.Struct]
) -> None:
    value = sealed(topic, keys, messages[topic.name])
    keys.close("dep-1")
    with pytest.raises(KeyGone):
        wire(topic, keys).open(record(topic, value))
    with pytest.raises(KeyGone):
        wire(topic, keys).seal(Out(topic, "k", messages[topic.name]))


def test_epoch_keys_go_by_time_and_the_key_of_matches_stays(
    keys: KeyRing, clock: ManualClock, frame: FrameCaptured, match: MatchMade
) -> None:
    frame_value, match_value = sealed(FRAMES, keys, frame), sealed(MATCHES, keys, match)
    clock.advance(300 + 60)
    with pytest.raises(KeyGone):
        wire(FRAMES, keys).open(record(FRAMES, frame_value))
    assert wire(MATCHES, keys).open(record(MATCHES, match_value)) == match
    assert wire(FRAMES, keys).open(record(FRAMES, sealed(FRAMES, keys, frame))) == frame


def test_a_message_of_an_unknown_deployment_cannot_be_sealed(keys: KeyRing, ended: CaptureEnded) -> None:
    stray = msgspec.structs.replace(ended, deployment_id="dep-9")
    with pytest.raises(KeyGone):
        wire(FRAMES, keys).seal(Out(FRAMES, "k", stray))


def test_a_message_may_only_be_sealed_for_its_topic(keys: KeyRing, ended: CaptureEnded) -> None:
    with pytest.raises(TypeError, match=r"^CaptureEnded may not stand on faces\.v1$"):
        wire(FRAMES, keys).seal(Out(FACES, "k", ended))


def letter_of(topic: Topic, value: bytes | None, reason: str = "not msgpack") -> DeadLetter:
    source = record(topic, value)
    addressed = wire(topic, KeyRing(ManualClock())).dead_letter(source, reason)
    assert (addressed.topic, addressed.key) == (topic.dead, source.key)
    assert addressed.value is not None
    letter = cast("DeadLetter", decode(dead_letter_topic(topic), addressed.value))
    assert (letter.topic, letter.partition, letter.offset) == (topic.name, 2, 40)
    assert letter.size_bytes == len(value or b"")
    return letter


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_a_dead_letter_keeps_sealed_bytes_whole_and_they_open_again(
    topic: Topic, keys: KeyRing, messages: dict[str, msgspec.Struct]
) -> None:
    value = sealed(topic, keys, messages[topic.name])
    letter = letter_of(topic, value)
    assert letter.value == value
    assert wire(topic, keys).open(record(topic, letter.value)) == messages[topic.name]


@pytest.mark.parametrize("topic", SEALED, ids=lambda topic: topic.name)
def test_a_dead_letter_never_keeps_what_was_in_the_clear(
    topic: Topic, messages: dict[str, msgspec.Struct]
) -> None:
    plain = msgspec.msgpack.encode(messages[topic.name])
    for value in (plain, b"OV1", b"OV1\xff" + plain[:100], b"OV1\x00" + plain):
        letter = letter_of(topic, value)
        assert letter.value is None
        assert letter.sha256


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_the_largest_lawful_record_fits_its_dead_letter(topic: Topic) -> None:
    value = b"OV1\xc8" + b"k" * 200 + bytes(topic.max_value_bytes - 204)
    assert letter_of(topic, value, "\U0001f512" * 600).value == value


def test_a_record_too_large_to_keep_whole_is_not_kept_in_part() -> None:
    letter = letter_of(FRAMES, b"OV1\x01k" + bytes(FRAMES.max_value_bytes))
    assert letter.value is None


def test_a_dead_letter_of_a_plain_topic_keeps_its_bytes() -> None:
    assert letter_of(ALERTS, b"{").value == b"{"
    assert letter_of(DEPLOYMENTS, None).value == b""
