"""Messages to sealed bytes and back, for the loop: codec, data keys and dead letters in one place."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import msgspec

from overt.contracts.codec import Unreadable, decode, encode
from overt.contracts.messages import DeadLetter, Message
from overt.contracts.orders import OrderBook, OrderRefused, SignedOrder
from overt.contracts.topics import DEPLOYMENTS, TOPICS, Topic, dead_letter_topic
from overt.runtime.broker import Record, TableReader
from overt.runtime.envelope import DataKey, NotSealed, key_id_of, seal, unseal
from overt.runtime.keys import KeySource
from overt.runtime.loop import Addressed, RecordRefused
from overt.runtime.memory import TopicLimits

M = TypeVar("M", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Out:
    """A message and the key it is to be partitioned by."""

    topic: Topic
    key: str
    message: msgspec.Struct


class TopicWire(Generic[M]):
    """See overt.runtime.loop.Wire. Opens one source topic, seals for any."""

    def __init__(self, source: Topic, keys: KeySource) -> None:
        self._source = source
        self._keys = keys

    def open(self, record: Record) -> M:
        """Return the message. Raises RecordRefused, KeyGone."""
        if record.value is None:
            raise RecordRefused("record has no value")
        try:
            if self._source.sealed is None:
                return cast("M", decode(self._source, record.value))
            return cast("M", self._unseal(record, record.value))
        except (NotSealed, Unreadable) as error:
            raise RecordRefused(str(error)) from None

    def _unseal(self, record: Record, value: bytes) -> msgspec.Struct:
        if len(value) > self._source.max_value_bytes:
            raise Unreadable(
                f"oversize: {len(value)} bytes, {record.topic} takes {self._source.max_value_bytes}"
            )
        key = self._keys.by_id(key_id_of(value))
        if not _may_seal(self._source, key):
            raise Unreadable("sealed with a key that is not destroyed in time")
        plain = unseal(value, key, topic=record.topic, record_key=record.key)
        message = decode(self._source, plain)
        if cast("Message", message).deployment_id != key.scope:
            raise Unreadable("message names another deployment than its key")
        return message

    def seal(self, out: Out) -> Addressed:
        """Return the bytes. Raises KeyGone; TypeError, ValueError for a message its readers would refuse."""
        value, record_key = encode(out.topic, out.message), out.key.encode()
        if out.topic.sealed is not None:
            deployment_id = cast("Message", out.message).deployment_id
            key = self._keys.current(deployment_id, out.topic.sealed)
            if key.scope != deployment_id or not _may_seal(out.topic, key):
                raise ValueError(f"{key!r} must not seal what stands on {out.topic.name}")
            value = seal(value, key, topic=out.topic.name, record_key=record_key)
        return Addressed(out.topic.name, record_key, value)

    def dead_letter(self, record: Record, reason: str) -> Addressed:
        """Return the dead letter.

        Bytes on a sealed topic that do not look sealed are not copied, nor is a part of what is too large:
        without its end nothing could be opened.
        """
        value = record.value or b""
        sealed_as_it_should = self._source.sealed is None or _looks_sealed(value)
        keep = sealed_as_it_should and len(value) <= self._source.max_value_bytes
        letter = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason[:500],
            size_bytes=len(value),
            sha256=hashlib.sha256(value).hexdigest(),
            value=value if keep else None,
        )
        topic = dead_letter_topic(self._source)
        return Addressed(topic.name, record.key, encode(topic, letter))


def _may_seal(topic: Topic, key: DataKey) -> bool:
    # Faces of people who raise no alert are kept by no key that lasts, whoever hands it out.
    return topic.sealed != "epoch" or key.not_after_s is not None


def _looks_sealed(value: bytes) -> bool:
    try:
        key_id_of(value)
    except NotSealed:
        return False
    return True


class OrderFeed:
    """Keeps an OrderBook up to date from `deployments.v1`; call `poll` often, from one thread.

    `on_over` is called with the id of a deployment that was stopped or has ended.
    """

    def __init__(
        self,
        reader: TableReader,
        book: OrderBook,
        on_refused: Callable[[str], None],
        *,
        on_over: Callable[[str], None] = lambda _deployment_id: None,
    ) -> None:
        self._reader = reader
        self._book = book
        self._on_refused = on_refused
        self._on_over = on_over

    def poll(self) -> None:
        """Take over every order that has arrived; a refused one is reported and changes nothing."""
        for record in self._reader.poll():
            try:
                self._take(record.value)
            except (Unreadable, OrderRefused) as error:
                self._on_refused(str(error))

    def _take(self, value: bytes | None) -> None:
        if value is None:
            raise OrderRefused("an order was taken off the topic: what is known of it stays")
        order = self._book.apply(cast("SignedOrder", decode(DEPLOYMENTS, value)))
        if order.state != "active":
            self._on_over(order.deployment_id)


def memory_topics() -> dict[str, TopicLimits]:
    """Every topic and its dead letters, as the in-process broker wants them."""
    limits: dict[str, TopicLimits] = {}
    for topic in TOPICS.values():
        compacted = topic.retention_s is None
        # A few frames a camera: in process nothing is gained by a longer queue but latency.
        frames = TopicLimits(topic.partitions, compacted=compacted, max_records=64)
        limits[topic.name] = frames if topic.sealed == "epoch" else TopicLimits(topic.partitions, compacted)
        limits[topic.dead] = TopicLimits(topic.partitions, max_bytes=8_000_000, max_records=200)
    return limits
