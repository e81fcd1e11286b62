"""Puts records on topics and finds them again: what the tests of odd records and of two versions need."""

from typing import cast

from confluent_kafka import Producer

from overt.contracts.codec import decode
from overt.contracts.messages import DeadLetter
from overt.contracts.topics import Topic, dead_letter_topic
from overt.runtime.broker import Record
from overt.runtime.envelope import NotSealed, key_id_of
from overt.runtime.kafka_consumer import record_of

from .stage import Stage

Place = tuple[int, int]


def put(stage: Stage, topic: Topic, key: bytes, value: bytes) -> Place:
    """Produce as anybody with access to Kafka could; return where it stands."""
    producer = Producer({"bootstrap.servers": stage.system.kafka.bootstrap, "partitioner": "murmur2_random"})
    delivered: list[Record] = []
    producer.produce(topic.name, value, key, on_delivery=lambda _, at: delivered.append(record_of(at)))
    assert producer.flush(10) == 0
    return delivered[0].partition, delivered[0].offset


def letters(stage: Stage, topic: Topic) -> dict[Place, DeadLetter]:
    dead = dead_letter_topic(topic)
    found = [cast("DeadLetter", decode(dead, one.value or b"")) for one in stage.system.topics.records(dead)]
    return {(letter.partition, letter.offset): letter for letter in found}


def newest(stage: Stage, topic: Topic) -> Record:
    """Return the newest record of this run that stands on `topic`, as soon as there is one."""
    found: list[Record] = []

    def is_there() -> bool:
        found[:] = of_this_run(stage, topic)
        return bool(found)

    stage.until(is_there, f"something stands on {topic.name}")
    return max(found, key=lambda record: record.timestamp_ms)


def is_of_this_run(stage: Stage, record: Record) -> bool:
    try:
        key_id = key_id_of(record.value or b"")
    except NotSealed:  # what an earlier test put there
        return False
    return any(key_id.startswith(f"{order}/") for order in stage.orders)


def of_this_run(stage: Stage, topic: Topic) -> list[Record]:
    """Return what stands on `topic` and was sealed under the orders of this run."""
    return [one for one in stage.system.topics.records(topic) if is_of_this_run(stage, one)]
