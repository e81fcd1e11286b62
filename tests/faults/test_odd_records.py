"""What should not stand on a topic: poison, messages of a later version, matches twice and in any order."""

import random
from collections.abc import Callable

import msgspec
import pytest

from overt.contracts.topics import DEPLOYMENTS, FACES, FRAMES, MATCHES, TEMPLATES
from overt.runtime.broker import Record
from overt.runtime.envelope import key_id_of, seal, unseal

from .records import letters, newest, of_this_run, put
from .run import Outcome, Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
SEALED = {"detect": FRAMES, "embed": FACES, "match": TEMPLATES, "alerts": MATCHES}
SEED = 7


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
        mine = of_this_run(stage, MATCHES)
        for record in chance.sample(mine * 2, k=2 * len(mine)):
            put(stage, MATCHES, record.key, record.value or b"")

    survives(again)
