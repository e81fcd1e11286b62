"""The topics table as Kafka wants it: partitions, retention, compaction and size of every topic."""

from collections.abc import Sequence

from overt.contracts.topics import CHANGELOGS, TOPICS, Changelog, Topic, dead_letter_topic
from overt.runtime.kafka import TopicSpec

# What sealing, the record's key and the record batch add to a message.
OVERHEAD_BYTES = 2_048
SEGMENTS_PER_RETENTION = 6
MIN_SEGMENT_S = 10
MAX_SEGMENT_S = 6 * 3_600


def spec_of(topic: Topic) -> TopicSpec:
    """Return `topic` with Kafka's settings for it.

    Kafka deletes whole closed segments, so a segment lasts a sixth of the retention: what is past it stays a
    sixth longer at most (and the broker's check interval). The promise about people without an alert rests
    on destroyed keys, not on this.
    """
    cleanup = _compacted() if topic.retention_s is None else _deleted(topic.retention_s)
    return TopicSpec(topic.name, topic.partitions, {**_common(topic.max_bytes), **cleanup})


def changelog_spec(changelog: Changelog) -> TopicSpec:
    """Return `changelog` with Kafka's settings: the newest of each key, and nothing past the retention."""
    config = {
        **_common(changelog.max_bytes),
        **_compacted(),
        **_deleted(changelog.retention_s),
        "cleanup.policy": "compact,delete",
    }
    return TopicSpec(changelog.name, changelog.source.partitions, config)


def topic_specs() -> Sequence[TopicSpec]:
    """Return every topic, its dead letters, and the changelogs, for `overt.runtime.kafka.create_topics`."""
    messages = [
        spec for topic in TOPICS.values() for spec in (spec_of(topic), spec_of(dead_letter_topic(topic)))
    ]
    return [*messages, *map(changelog_spec, CHANGELOGS)]


def _common(max_bytes: int) -> dict[str, str]:
    return {
        "max.message.bytes": str(max_bytes + OVERHEAD_BYTES),
        # The broker's clock decides what is old: a producer's may be wrong.
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "producer",  # pictures and sealed bytes don't shrink
    }


def _compacted() -> dict[str, str]:
    # An outdated order or audit head goes within the hour.
    return {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.1",
        "max.compaction.lag.ms": "3600000",
    }


def _deleted(retention_s: int) -> dict[str, str]:
    segment_s = min(max(retention_s // SEGMENTS_PER_RETENTION, MIN_SEGMENT_S), MAX_SEGMENT_S)
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_s * 1_000),
        "segment.ms": str(segment_s * 1_000),
    }
