"""The codec: what is written can be read, nothing else can, and no reason repeats what stood in the bytes."""

import math
import string
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.contracts.codec import Unreadable, decode, encode
from overt.contracts.events import AlertStrengthened
from overt.contracts.messages import (
    MAX_INTEGER,
    AuditHead,
    CaptureEnded,
    FrameCaptured,
    MatchMade,
    TemplateMade,
    require_unit_vector,
)
from overt.contracts.orders import Order
from overt.contracts.topics import ALERTS, AUDIT, DEPLOYMENTS, FRAMES, MATCHES, TEMPLATES, TOPICS, Topic

ALPHABET = string.ascii_letters + string.digits
identifiers = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(ALPHABET),
    st.text(ALPHABET + "_.-", max_size=63),
)
times_ns = st.integers(0, MAX_INTEGER)
heads = st.builds(
    AuditHead,
    identifiers,
    st.integers(0, MAX_INTEGER),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    times_ns,
)
endings = st.builds(CaptureEnded, identifiers, identifiers, times_ns)
events = st.builds(
    AlertStrengthened,
    identifiers,
    identifiers,
    st.integers(1, MAX_INTEGER),
    times_ns,
    st.just(1),
    st.floats(-1, 1),
)
# Distinctive enough that it can't stand in a reason by chance.
MARK = "Qz9Surname"


@given(heads)
def test_what_is_encoded_decodes_to_the_same(head: AuditHead) -> None:
    assert decode(AUDIT, encode(AUDIT, head)) == head


@given(endings)
def test_a_union_decodes_to_the_type_that_was_encoded(message: CaptureEnded) -> None:
    assert decode(FRAMES, encode(FRAMES, message)) == message


@given(events)
def test_json_keeps_every_number_exactly(event: AlertStrengthened) -> None:
    assert decode(ALERTS, encode(ALERTS, event)) == event


@given(heads, heads)
def test_equal_messages_and_only_they_are_equal_bytes(one: AuditHead, other: AuditHead) -> None:
    assert (encode(AUDIT, one) == encode(AUDIT, other)) == (one == other)


@given(st.sampled_from(sorted(TOPICS)), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_unreadable(name: str, value: bytes) -> None:
    topic = TOPICS[name]
    try:
        message = decode(topic, value)
    except Unreadable:
        return
    assert isinstance(message, topic.message)


@given(endings, st.data())
def test_bytes_cut_anywhere_are_unreadable(message: CaptureEnded, data: st.DataObject) -> None:
    whole = encode(FRAMES, message)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Unreadable, match=r"^not msgpack$"):
        decode(FRAMES, whole[:cut])


def test_an_oversize_payload_is_refused_before_it_is_looked_at() -> None:
    for topic in TOPICS.values():
        with pytest.raises(Unreadable, match=f"^oversize: {topic.max_bytes + 1} bytes, {topic.name} takes"):
            decode(topic, bytes(topic.max_bytes + 1))


def test_an_oversize_picture_is_refused(frame: FrameCaptured) -> None:
    begin, end = frame.jpeg[:-2], frame.jpeg[-2:]
    large = begin + bytes(8_000_001 - len(frame.jpeg)) + end
    value = msgspec.msgpack.encode({**fields_of(frame), "jpeg": large})
    with pytest.raises(Unreadable, match="frame picture has 8000001 bytes, the limit is 8000000"):
        decode(FRAMES, value)


def test_a_message_of_another_topic_may_not_stand_on_this_one(ended: CaptureEnded) -> None:
    with pytest.raises(TypeError, match=r"^CaptureEnded may not stand on matches.v1$"):
        encode(MATCHES, ended)


@pytest.mark.parametrize(
    ("field", "value"),
    [("camera_id", "a b"), ("captured_at_ns", -1), ("captured_at_ns", 2**63), ("camera_id", 7)],
)
def test_a_message_that_its_readers_would_refuse_is_not_encoded(
    ended: CaptureEnded, field: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=r"^CaptureEnded would be refused on frames.v1: invalid: Expected"):
        encode(FRAMES, msgspec.structs.replace(ended, **{field: value}))


def test_a_candidate_that_is_no_number_is_not_encoded(match: MatchMade) -> None:
    candidate = msgspec.structs.replace(match.candidates[0], similarity=math.nan)
    with pytest.raises(ValueError, match="a candidate is below the threshold"):
        msgspec.structs.replace(match, candidates=(candidate,))


@pytest.mark.parametrize("threshold", [math.nan, 2.0])
def test_nothing_matches_a_threshold_that_is_none(match: MatchMade, threshold: float) -> None:
    with pytest.raises(ValueError, match="a candidate is below the threshold"):
        msgspec.structs.replace(match, threshold=threshold)


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=64).filter(
        lambda v: math.sqrt(sum(x * x for x in v)) > 1e-6
    )
)
def test_a_vector_is_accepted_once_it_is_scaled_to_unit_length(values: list[float]) -> None:
    norm = math.sqrt(math.fsum(value * value for value in values))
    dimension = len(values)
    require_unit_vector(struct.pack(f"<{dimension}f", *[v / norm for v in values]), dimension)
    for wrong in (0.99, 1.01):
        scaled = struct.pack(f"<{dimension}f", *[v / norm * wrong for v in values])
        with pytest.raises(ValueError, match=r"^template is not a finite unit vector$"):
            require_unit_vector(scaled, dimension)


def fields_of(message: msgspec.Struct) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
    return fields


def places(fields: Any) -> list[tuple[str | int, ...]]:
    """Every path within `fields`, leaves and branches."""
    inner = (
        fields.items()
        if isinstance(fields, dict)
        else enumerate(fields)
        if isinstance(fields, list | tuple)
        else ()
    )
    return [(name, *rest) for name, value in inner for rest in ((), *places(value))]


def replaced(fields: Any, path: tuple[str | int, ...], value: object) -> Any:
    """A copy of `fields` with `value` at `path`."""
    if not path:
        return value
    name, *rest = path
    copy: Any = dict(fields) if isinstance(fields, dict) else list(fields)
    copy[name] = replaced(copy[name], tuple(rest), value)
    return copy


def bent(fields: Any) -> list[Any]:
    """`fields` with the mark as the value of each place, as a further field, as a name and as bytes."""
    every = [
        replaced(fields, path, mark) for path in places(fields) for mark in (MARK, MARK.encode(), [MARK])
    ]
    every += [
        {**fields, MARK: 1},
        {**fields, f"{MARK}` - at `$.{MARK}": 1},
        {**fields, "type": f"x' - at `$.{MARK}"},
    ]
    every += [replaced(fields, path, {**value, MARK: MARK}) for path, value in branches(fields)]
    return every


def branches(fields: Any) -> list[tuple[tuple[str | int, ...], dict[str, Any]]]:
    found = []
    for path in places(fields):
        value = fields
        for name in path:
            value = value[name]
        if isinstance(value, dict):
            found.append((path, value))
    return found


def reason_of(topic: Topic, value: bytes) -> str | None:
    try:
        decode(topic, value)
    except Unreadable as error:
        return str(error)
    return None


def test_no_reason_repeats_what_stood_in_the_bytes(
    frame: FrameCaptured, template: TemplateMade, match: MatchMade
) -> None:
    found = [
        reason_of(topic, msgspec.msgpack.encode(fields))
        for topic, message in ((FRAMES, frame), (TEMPLATES, template), (MATCHES, match))
        for fields in bent(fields_of(message))
    ]
    reasons = [reason for reason in found if reason is not None]
    assert len(reasons) > 150
    assert [reason for reason in reasons if MARK in reason or len(reason) > 200] == []


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_no_reason_repeats_raw_bytes(topic: Topic) -> None:
    for value in (
        MARK.encode(),
        b"\xa0" + MARK.encode(),
        f'{{"type":"{MARK}"}}'.encode(),
        f'"{MARK}'.encode(),
    ):
        with pytest.raises(Unreadable) as caught:
            decode(topic, value)
        assert MARK not in str(caught.value)


def test_no_reason_of_an_order_repeats_its_text(make_order: Any) -> None:
    with pytest.raises(ValueError, match="lasts more than 0") as caught:
        make_order(place=MARK, ends_at_s=1.0)
    assert MARK not in str(caught.value)


def test_an_empty_type_is_no_type() -> None:
    for topic in (DEPLOYMENTS, AUDIT, FRAMES):
        with pytest.raises(Unreadable, match=r"^invalid: the type is empty$"):
            decode(topic, msgspec.msgpack.encode({"type": ""}))


def test_orders_can_be_compared() -> None:
    """The order book tells two orders of one revision apart by equality, so every field must count."""
    assert Order.__struct_config__.eq
