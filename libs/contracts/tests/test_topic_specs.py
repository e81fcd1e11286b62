"""The topics table as Kafka settings."""

import pytest

from overt.contracts.topic_specs import (
    MAX_SEGMENT_S,
    MIN_SEGMENT_S,
    OVERHEAD_BYTES,
    changelog_spec,
    spec_of,
    topic_specs,
)
from overt.contracts.topics import (
    ALERT_WINDOWS,
    CHANGELOGS,
    DEPLOYMENTS,
    FRAMES,
    MATCHES,
    TOPICS,
    Topic,
    dead_letter_topic,
)
from overt.runtime.envelope import MAX_KEY_ID_BYTES, DataKey, seal
from overt.runtime.kafka import MAX_MESSAGE_BYTES

EVERY = [each for topic in TOPICS.values() for each in (topic, dead_letter_topic(topic))]


def test_every_topic_and_its_dead_letters_are_there_once() -> None:
    names = [spec.name for spec in topic_specs()]
    dead = [topic.dead for topic in TOPICS.values()]
    assert sorted(names) == sorted([*TOPICS, *dead, *(changelog.name for changelog in CHANGELOGS)])


def test_only_what_has_no_retention_is_compacted() -> None:
    compacted = {spec.name for spec in topic_specs() if spec.config["cleanup.policy"] == "compact"}
    assert compacted == {topic.name for topic in EVERY if topic.retention_s is None}
    assert "retention.ms" not in spec_of(DEPLOYMENTS).config


def test_a_changelog_goes_with_its_source_and_keeps_the_newest_of_each_key_for_a_while() -> None:
    spec = changelog_spec(ALERT_WINDOWS)
    assert (spec.name, spec.partitions) == ("alert-windows.v1", MATCHES.partitions)
    assert spec.config["cleanup.policy"] == "compact,delete"
    assert MATCHES.retention_s is not None
    # A match that can still come back finds what was folded from it.
    assert int(spec.config["retention.ms"]) >= MATCHES.retention_s * 1_000


def test_frames_are_kept_sixty_seconds_in_short_segments() -> None:
    config = spec_of(FRAMES).config
    assert (config["retention.ms"], config["segment.ms"]) == ("60000", "10000")


@pytest.mark.parametrize("topic", EVERY, ids=lambda topic: topic.name)
def test_a_topic_keeps_its_partitions_and_never_outlives_its_retention_by_much(topic: Topic) -> None:
    spec = spec_of(topic)
    assert spec.partitions == topic.partitions
    if topic.retention_s is not None:
        segment_s = int(spec.config["segment.ms"]) / 1_000
        assert MIN_SEGMENT_S <= segment_s <= MAX_SEGMENT_S
        assert segment_s <= topic.retention_s / 6


@pytest.mark.parametrize("topic", EVERY, ids=lambda topic: topic.name)
def test_the_largest_message_fits_its_topic_and_the_client(topic: Topic) -> None:
    limit = int(spec_of(topic).config["max.message.bytes"])
    key, record_key = DataKey("k" * MAX_KEY_ID_BYTES, "camp", bytes(32), None), b"r" * 200
    sealed = seal(bytes(topic.max_bytes), key, topic=topic.name, record_key=record_key)
    assert len(sealed) + len(record_key) < limit <= MAX_MESSAGE_BYTES


def test_sealing_leaves_room_for_the_batch() -> None:
    # A record batch's header has 61 bytes, a record's some twenty.
    key = DataKey("k" * MAX_KEY_ID_BYTES, "camp", bytes(32), None)
    assert len(seal(b"", key, topic=MATCHES.name, record_key=b"")) + 200 + 100 < OVERHEAD_BYTES
