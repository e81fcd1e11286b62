"""The table of topics: what has to hold of every row."""

from itertools import chain

import pytest

from overt.contracts.events import AlertEvent
from overt.contracts.messages import DeadLetter, Message
from overt.contracts.topics import TOPICS, Topic, dead_letter_topic
from overt.contracts.wire import memory_topics
from overt.runtime.kafka import MAX_MESSAGE_BYTES

EVERY = [*TOPICS.values(), *map(dead_letter_topic, TOPICS.values())]


def name_of(topic: Topic) -> str:
    return topic.name


@pytest.mark.parametrize("topic", TOPICS.values(), ids=name_of)
def test_faces_are_on_sealed_topics_only(topic: Topic) -> None:
    """A message that can hold a picture or a template names its deployment, whose key seals it."""
    may_hold_a_face = any(issubclass(message, Message) for message in topic.messages)
    assert may_hold_a_face == (topic.sealed is not None)


@pytest.mark.parametrize("topic", [t for t in EVERY if t.sealed == "epoch"], ids=name_of)
def test_what_an_epoch_key_seals_is_kept_for_a_minute_at_most(topic: Topic) -> None:
    assert topic.retention_s is not None
    assert topic.retention_s <= 60


@pytest.mark.parametrize("topic", EVERY, ids=name_of)
def test_a_record_of_any_topic_fits_what_kafka_is_told_to_take(topic: Topic) -> None:
    assert topic.max_value_bytes + 2_048 < MAX_MESSAGE_BYTES


@pytest.mark.parametrize("topic", TOPICS.values(), ids=name_of)
def test_dead_letters_are_kept_as_long_and_as_apart_as_their_source(topic: Topic) -> None:
    dead = dead_letter_topic(topic)
    assert dead.name == topic.dead == f"{topic.name}.dead"
    assert (dead.key, dead.partitions) == (topic.key, topic.partitions)
    assert dead.messages == (DeadLetter,)
    assert dead.retention_s == (topic.retention_s or 7 * 86_400)


def test_every_message_type_stands_on_one_topic_and_has_a_tag_of_its_own() -> None:
    messages = list(chain.from_iterable(topic.messages for topic in TOPICS.values()))
    tags = [message.__struct_config__.tag for message in messages]
    assert len(set(messages)) == len(messages)
    assert len(set(tags)) == len(tags)


def test_every_message_says_which_version_it_is() -> None:
    for message in chain.from_iterable(topic.messages for topic in EVERY):
        in_tag = str(message.__struct_config__.tag).endswith(".v1")
        assert in_tag or issubclass(message, AlertEvent), message


def test_every_message_refuses_unknown_fields_and_cannot_be_changed() -> None:
    for message in chain.from_iterable(topic.messages for topic in EVERY):
        assert message.__struct_config__.forbid_unknown_fields, message
        assert message.__struct_config__.frozen, message


def test_the_public_events_are_json_and_hold_no_bytes() -> None:
    for topic in TOPICS.values():
        if topic.encoding == "json":
            types = {field for message in topic.messages for field in message.__annotations__.values()}
            assert bytes not in types
            assert topic.messages


def test_the_in_process_broker_gets_every_topic_and_its_dead_letters() -> None:
    limits = memory_topics()
    assert sorted(limits) == sorted(topic.name for topic in EVERY)
    for topic in EVERY:
        assert limits[topic.name].partitions == topic.partitions
        assert limits[topic.name].compacted == (topic.retention_s is None)
