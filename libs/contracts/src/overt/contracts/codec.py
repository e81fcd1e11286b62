"""Turns messages into bytes and back, and says in one line why bytes were refused."""

from functools import cache
from typing import Any

import msgspec

from overt.contracts.reasons import UNDECODABLE, why
from overt.contracts.topics import Topic


class Unreadable(ValueError):
    """Bytes that are no message of this topic. The text says why and holds nothing of the content."""


class _Untagged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=""):
    """Makes the type of every topic a union: msgspec demands the tag of unions only."""

    def __post_init__(self) -> None:
        raise ValueError("the type is empty")


@cache
def _decoder(topic: Topic) -> Any:
    kind = msgspec.json.Decoder if topic.encoding == "json" else msgspec.msgpack.Decoder
    return kind(topic.message | _Untagged)


@cache
def _encoder(encoding: str) -> Any:
    # Deterministic, so that equal messages are equal bytes: outputs can be compared and hashed.
    kind = msgspec.json.Encoder if encoding == "json" else msgspec.msgpack.Encoder
    return kind(order="deterministic")


def encode(topic: Topic, message: msgspec.Struct) -> bytes:
    """Return the bytes of `message`, which every reader of `topic` will accept.

    Raises TypeError for a type that may not stand on `topic`, ValueError for a message that its readers
    would refuse: structs check the ranges of their fields only when decoded, and a message that is parked
    behind its producer's back is worse than a producer that fails.
    """
    if not isinstance(message, topic.message):
        raise TypeError(f"{type(message).__name__} may not stand on {topic.name}")
    value: bytes = _encoder(topic.encoding).encode(message)
    try:
        decode(topic, value)
    except Unreadable as error:
        raise ValueError(f"{type(message).__name__} would be refused on {topic.name}: {error}") from None
    return value


def decode(topic: Topic, value: bytes) -> msgspec.Struct:
    """Return the message that `value` holds. Raises Unreadable."""
    if len(value) > topic.max_bytes:
        raise Unreadable(f"oversize: {len(value)} bytes, {topic.name} takes {topic.max_bytes}")
    try:
        message: msgspec.Struct = _decoder(topic).decode(value)
    except UNDECODABLE as error:
        raise Unreadable(why(error, topic.encoding)) from None
    return message
