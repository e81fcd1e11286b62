"""What should not stand on a topic: poison, messages of a later version, matches twice and in any order."""

import random
from collections.abc import Callable
from typing import cast

import msgspec
import pytest
from confluent_kafka import Producer

from overt.contracts.codec import decode
from overt.contracts.messages import DeadLetter
from overt.contracts.topics import (
    DEPLOYMENTS,
    FACES,
    FRAMES,
    MATCHES,
    TEMPLATES,
    Topic,
    dead_letter_topic,
)
from overt.runtime.broker import Record
from overt.runtime.envelope import NotSealed, key_id_of, seal, unseal
from overt.runtime.kafka_consumer import record_of

from .run import Outcome, Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
Place = tuple[int, int]
SEALED = {"detect": FRAMES, "embed": FACES, "match": TEMPLATES, "alerts": MATCHES}
SEED = 7


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
        found[:] = [one for one in stage.system.topics.records(topic) if is_of_this_run(stage, one)]
        return bool(found)

    stage.until(is_there, f"something stands on {topic.name}")
    return max(found, key=lambda record: record.timestamp_ms)


def is_of_this_run(stage: Stage, record: Record) -> bool:
    try:
        key_id = key_id_of(record.value or b"")
    except NotSealed:  # what an earlier test put there
        return False
    return any(key_id.startswith(f"{order}/") for order in stage.orders)


def of_a_later_version(stage: Stage, service: str, record: Record) -> bytes:
    """Return the record's value as the next version of its writer could have sealed it."""
    keys = stage.system.keys_of(service)
    try:
        key = keys.by_id(key_id_of(record.value or b""))
    finally:
        keys.close()
    plain = msgspec.msgpack.decode(
        unseal(record.value or b"", key, topic=record.topic, record_key=record.key)
    )
    plain["type"] = plain["type"].replace(".v1", ".v2")
    return seal(msgspec.msgpack.encode(plain), key, topic=record.topic, record_key=record.key)


def test_poison_on_every_topic_is_parked_and_nobody_ends(survives: Survives, stage: Stage) -> None:
    def poison(run: Run) -> None:
        put(stage, DEPLOYMENTS, b"deployment-x", b"no order")
        for topic in SEALED.values():
            record = newest(stage, topic)
            tampered = (record.value or b"")[:-1] + b"\0\1"
            places = [put(stage, topic, record.key, value) for value in (b"\xc1", tampered, b"")]
            stage.until(
                lambda topic=topic, places=places: letters(stage, topic).keys() >= set(places),  # type: ignore[misc]
                f"the poison of {topic.name} is parked",
            )

    assert survives(poison).ended_by_themselves == []


def test_a_later_version_beside_this_one_is_parked_by_whoever_does_not_know_it(
    survives: Survives, stage: Stage
) -> None:
    def upgrade(run: Run) -> None:
        # During a rolling upgrade both versions are members of one group.
        for name in ("embed", "match"):
            stage.system.begin(name, alias=f"{name}-next", OVERT_KAFKA_INSTANCE_ID=f"{name}-next")
        try:
            stage.until(
                lambda: all(stage.system.services[f"{name}-next"].ready for name in ("embed", "match")),
                "the second members are ready",
            )
            for service, topic in SEALED.items():
                record = newest(stage, topic)
                place = put(stage, topic, record.key, of_a_later_version(stage, service, record))
                stage.until(
                    lambda topic=topic, place=place: place in letters(stage, topic),  # type: ignore[misc]
                    f"the later version on {topic.name} is parked",
                )
                assert letters(stage, topic)[place].value is not None
        finally:
            for name in ("embed", "match"):
                stage.system.forget(f"{name}-next")

    assert survives(upgrade).ended_by_themselves == []


def test_matches_delivered_again_in_any_order_change_nothing(survives: Survives, stage: Stage) -> None:
    chance = random.Random(SEED)

    def again(run: Run) -> None:
        run.watch(stage.recording.out_s - stage.recording.in_s)
        newest(stage, MATCHES)
        mine = [one for one in stage.system.topics.records(MATCHES) if is_of_this_run(stage, one)]
        for record in chance.sample(mine * 2, k=2 * len(mine)):
            put(stage, MATCHES, record.key, record.value or b"")

    survives(again)
