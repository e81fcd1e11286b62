"""What stands on Overt's topics, read from outside: records, lags, and the broker's own files."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from confluent_kafka import OFFSET_END, Consumer, ConsumerGroupState, KafkaException, TopicPartition

from overt.contracts.topics import FACES, FRAMES, MATCHES, TEMPLATES, Topic
from overt.runtime.broker import Record
from overt.runtime.kafka_admin import ClusterAdmin
from overt.runtime.kafka_consumer import record_of
from overt.runtime.kafka_security import KafkaLogin

# Who reads what, in the order in which a frame passes.
READERS: Mapping[str, Topic] = {"detect": FRAMES, "embed": FACES, "match": TEMPLATES, "alerts": MATCHES}
TIMEOUT_S = 10.0
FOLLOW_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class TopicsSeen:
    """Looks at the cluster at `bootstrap`, whose segments lie below `data_dir`; changes nothing.

    `login` is that of a user who may read everything; None for a plain cluster.
    """

    bootstrap: str
    data_dir: Path
    login: KafkaLogin | None = None

    def all_have_partitions(self) -> bool:
        """Whether every consumer group of a service is stable and holds all partitions of its topic."""
        admin = ClusterAdmin(self.bootstrap, self.login)
        for name, future in admin.describe_consumer_groups(list(READERS)).items():
            try:
                group = future.result(TIMEOUT_S)
            except KafkaException:  # the group does not exist yet
                return False
            held = sum(len(member.assignment.topic_partitions) for member in group.members)
            if group.state != ConsumerGroupState.STABLE or held < READERS[name].partitions:
                return False
        return True

    def is_consumed(self, group: str) -> bool:
        """Whether a service has committed everything that stands on its topic."""
        places = self._places(READERS[group])
        consumer = self._consumer(group)
        try:
            committed = consumer.committed(places, timeout=TIMEOUT_S)
            ends = [consumer.get_watermark_offsets(place, timeout=TIMEOUT_S) for place in places]
        finally:
            consumer.close()
        # Without a commit the offset is negative; then only a partition that is empty is consumed.
        return all(at.offset >= high or low == high for at, (low, high) in zip(committed, ends, strict=True))

    def records(self, topic: Topic, *, at_most: int | None = None) -> Sequence[Record]:
        """Return what stands on `topic` now, from the oldest on, of each partition in order."""
        consumer = self._consumer(f"seen-{uuid4().hex}")
        found: list[Record] = []
        try:
            places = self._places(topic)
            ends = {
                place.partition: consumer.get_watermark_offsets(place, timeout=TIMEOUT_S) for place in places
            }
            left = {partition: high for partition, (low, high) in ends.items() if low < high}
            consumer.assign([TopicPartition(topic.name, part, ends[part][0]) for part in left])
            while left and (at_most is None or len(found) < at_most):
                message = consumer.poll(TIMEOUT_S)
                assert message is not None, f"{topic.name} could not be read to its end"
                record = record_of(message)
                found.append(record)
                if record.offset + 1 >= left.get(record.partition, 0):
                    left.pop(record.partition, None)
        finally:
            consumer.close()
        return found

    def follow(self, topic: Topic, stop: threading.Event) -> Iterator[Record]:
        """Yield what arrives on `topic` from now on, until `stop` is set."""
        consumer = self._consumer(f"seen-{uuid4().hex}")
        try:
            consumer.assign([TopicPartition(p.topic, p.partition, OFFSET_END) for p in self._places(topic)])
            while not stop.is_set():
                message = consumer.poll(FOLLOW_POLL_S)
                if message is not None:
                    yield record_of(message)
        finally:
            consumer.close()

    def silent_for(self, topic: Topic, seconds: float) -> bool:
        """Whether nothing new arrives on `topic` while `seconds` pass."""
        consumer = self._consumer(f"seen-{uuid4().hex}")
        try:
            places = self._places(topic)
            ends = [consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)[1] for place in places]
            consumer.assign(
                [
                    TopicPartition(topic.name, place.partition, end)
                    for place, end in zip(places, ends, strict=True)
                ]
            )
            return consumer.poll(seconds) is None
        finally:
            consumer.close()

    def keep_segments(self, folder: Path, topics: Sequence[Topic]) -> Sequence[Path]:
        """Link the segment files of `topics` into `folder`, so that retention does not take them from a test."""
        kept = []
        for topic in topics:
            for number, path in enumerate(sorted(self.data_dir.glob(f"{topic.name}-*/*.log"))):
                link = folder / f"{topic.name}.{number}"
                os.link(path, link)
                kept.append(link)
        return kept

    def _consumer(self, group: str) -> Consumer:
        login = {} if self.login is None else self.login.client_config()
        return Consumer(
            {
                **login,
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "log_level": 0,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": 9_000_000,
            }
        )

    def _places(self, topic: Topic) -> list[TopicPartition]:
        return [TopicPartition(topic.name, number) for number in range(topic.partitions)]
