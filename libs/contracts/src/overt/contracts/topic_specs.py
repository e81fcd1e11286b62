"""The topics table as Kafka wants it: partitions, retention, compaction and size of every topic."""

from collections.abc import Iterable, Sequence

from overt.contracts.topics import TOPICS, Topic, dead_letter_topic
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
    common = {
        "max.message.bytes": str(topic.max_bytes + OVERHEAD_BYTES),
        # The broker's clock decides what is old: a producer's may be wrong.
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "producer",  # pictures and sealed bytes don't shrink
    }
    return TopicSpec(topic.name, topic.partitions, {**common, **_cleanup(topic.retention_s)})


def topic_specs(topics: Iterable[Topic] = tuple(TOPICS.values())) -> Sequence[TopicSpec]:
    """Return every topic and its dead letters, for `overt.runtime.kafka.create_topics`."""
    return [spec for topic in topics for spec in (spec_of(topic), spec_of(dead_letter_topic(topic)))]


def _cleanup(retention_s: int | None) -> dict[str, str]:
    if retention_s is None:
        # An outdated order or audit head goes within the hour.
        return {
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.1",
            "max.compaction.lag.ms": "3600000",
        }
    segment_s = min(max(retention_s // SEGMENTS_PER_RETENTION, MIN_SEGMENT_S), MAX_SEGMENT_S)
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_s * 1_000),
        "segment.ms": str(segment_s * 1_000),
    }
