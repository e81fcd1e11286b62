"""Turns messages into bytes and back, and says in one line why bytes were refused."""

from functools import cache
from typing import Any

import msgspec
from overt.contracts.topics import Topic


class Unreadable(ValueError):
    """Bytes that are no message of this topic. The text says why and holds nothing of the content."""


@cache
def _decoder(topic: Topic) -> Any:
    kind = msgspec.json.Decoder if topic.encoding == "json" else msgspec.msgpack.Decoder
    return kind(topic.message)


@cache
def _encoder(encoding: str) -> Any:
    # Deterministic, so that equal messages are equal bytes: outputs can be compared and hashed.
    kind = msgspec.json.Encoder if encoding == "json" else msgspec.msgpack.Encoder
    return kind(order="deterministic")


def encode(topic: Topic, message: msgspec.Struct) -> bytes:
    """Return the bytes of `message`. Raises TypeError for a type that may not stand on `topic`."""
    if not isinstance(message, topic.message):
        raise TypeError(f"{type(message).__name__} may not stand on {topic.name}")
    value: bytes = _encoder(topic.encoding).encode(message)
    if len(value) > topic.max_bytes:
        raise ValueError(f"message has {len(value)} bytes, {topic.name} takes {topic.max_bytes}")
    return value


def decode(topic: Topic, value: bytes) -> msgspec.Struct:
    """Return the message that `value` holds. Raises Unreadable."""
    if len(value) > topic.max_bytes:
        raise Unreadable(f"oversize: {len(value)} bytes, {topic.name} takes {topic.max_bytes}")
    try:
        message: msgspec.Struct = _decoder(topic).decode(value)
    except msgspec.ValidationError as error:
        raise Unreadable(f"invalid: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable(f"not {topic.encoding}") from None
    return message
