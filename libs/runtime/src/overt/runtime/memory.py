"""The in-process broker: topics, keys, partitions, groups and commits in bounded memory, nothing on disk.

It keeps what the Kafka loop relies on: order within a partition, at-least-once delivery to each group,
redelivery of what was not committed, and commits that fail after the group moved on. A record leaves
memory as soon as every group has committed it, so no face outlives its use. A full topic blocks its
producers: that is the back-pressure.
"""

import threading
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overt.runtime.broker import BrokerError, CommitRefused, Record
from overt.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class TopicLimits:
    """How a topic is held. A compacted topic keeps the newest record of each key and never blocks."""

    partitions: int = 1
    compacted: bool = False
    max_bytes: int = 64_000_000
    max_records: int = 2_000


@dataclass(slots=True)
class _Partition:
    """The records from offset `first` on; `end` is the offset the next one gets."""

    first: int = 0
    records: deque[Record] = field(default_factory=deque)

    @property
    def end(self) -> int:
        return self.first + len(self.records)


@dataclass(slots=True)
class _Topic:
    limits: TopicLimits
    partitions: list[_Partition]
    size_bytes: int = 0


@dataclass(slots=True)
class _Group:
    """Committed offsets survive the members; `generation` grows with every member that comes or goes."""

    topics: frozenset[str]
    members: list["MemoryConsumer"] = field(default_factory=list)
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    generation: int = 0


class MemoryBroker:
    """A broker in this process. Safe to share between threads. Topics must be declared: none appear by use."""

    def __init__(self, topics: Mapping[str, TopicLimits], clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._topics = {
            name: _Topic(limits, [_Partition() for _ in range(limits.partitions)])
            for name, limits in topics.items()
        }
        self._groups: dict[str, _Group] = {}
        self._closed = False

    def consumer(self, group: str, topics: Sequence[str]) -> "MemoryConsumer":
        """See Broker. Raises BrokerError for a topic that does not exist."""
        with self._changed:
            for topic in topics:
                self._topic(topic)
            state = self._groups.setdefault(group, _Group(frozenset(topics)))
            if state.topics != frozenset(topics):
                raise BrokerError(f"group {group} reads {sorted(state.topics)}, not {sorted(topics)}")
            member = MemoryConsumer(self, group)
            state.members.append(member)
            state.generation += 1
            return member

    def producer(self) -> "MemoryProducer":
        """See Broker."""
        return MemoryProducer(self)

    def table(self, topic: str) -> "MemoryTableReader":
        """See Broker."""
        with self._changed:
            return MemoryTableReader(self, topic, [p.end for p in self._topic(topic).partitions])

    def close(self) -> None:
        """Wake everybody who waits: a blocked producer raises BrokerError."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def is_drained(self) -> bool:
        """Whether every group has committed everything on the topics it reads."""
        with self._changed:
            return all(
                group.committed.get((name, number), 0) >= partition.end
                for group in self._groups.values()
                for name in group.topics
                for number, partition in enumerate(self._topics[name].partitions)
            )

    def held_records(self, topic: str) -> Sequence[Record]:
        """Everything of `topic` that is in memory now: what a privacy test looks at."""
        with self._changed:
            return [record for part in self._topic(topic).partitions for record in part.records]

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise BrokerError(f"there is no topic {name}")
        return self._topics[name]

    def _append(self, name: str, key: bytes, value: bytes | None) -> None:
        with self._changed:
            topic = self._topic(name)
            size = len(key) + len(value or b"")
            while not self._closed and self._is_full(name, topic, size):
                self._changed.wait()
            if self._closed:
                raise BrokerError("the broker is closed")
            number = zlib.crc32(key) % len(topic.partitions)
            partition = topic.partitions[number]
            record = Record(name, number, partition.end, key, value, int(self._clock.now_s() * 1000))
            partition.records.append(record)
            topic.size_bytes += size
            self._trim(name, topic)
            self._changed.notify_all()

    def _is_full(self, name: str, topic: _Topic, size: int) -> bool:
        if topic.limits.compacted or not self._readers(name):
            return False  # nobody would ever make room: the oldest goes instead (_trim)
        held = sum(len(partition.records) for partition in topic.partitions)
        # One record always fits, however large: else its producer would wait for ever.
        return held > 0 and (
            topic.size_bytes + size > topic.limits.max_bytes or held >= topic.limits.max_records
        )

    def _readers(self, name: str) -> list[_Group]:
        return [group for group in self._groups.values() if name in group.topics]

    def _trim(self, name: str, topic: _Topic) -> None:
        if topic.limits.compacted:
            for partition in topic.partitions:
                self._compact(topic, partition)
            return
        readers = self._readers(name)
        for number, partition in enumerate(topic.partitions):
            done = min((group.committed.get((name, number), 0) for group in readers), default=partition.first)
            while partition.first < done:
                self._drop_oldest(topic, partition)
        while not readers and self._oversize(topic):
            self._drop_oldest(topic, max(topic.partitions, key=lambda part: len(part.records)))

    def _oversize(self, topic: _Topic) -> bool:
        held = sum(len(partition.records) for partition in topic.partitions)
        return held > 1 and (topic.size_bytes > topic.limits.max_bytes or held > topic.limits.max_records)

    @staticmethod
    def _drop_oldest(topic: _Topic, partition: _Partition) -> None:
        record = partition.records.popleft()
        partition.first += 1
        topic.size_bytes -= len(record.key) + len(record.value or b"")

    @staticmethod
    def _compact(topic: _Topic, partition: _Partition) -> None:
        # Only the leading run of outdated records is dropped: offsets stay dense, as `first` needs them.
        newest = {record.key: record.offset for record in partition.records}
        while partition.records and newest[partition.records[0].key] != partition.records[0].offset:
            MemoryBroker._drop_oldest(topic, partition)

    def _assigned(self, group: _Group, member: "MemoryConsumer") -> list[tuple[str, int]]:
        every = sorted((name, number) for name in group.topics for number in range(self._count(name)))
        return every[group.members.index(member) :: len(group.members)]

    def _count(self, name: str) -> int:
        return len(self._topics[name].partitions)


class MemoryConsumer:
    """A member of a group on a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, group: str) -> None:
        self._broker = broker
        self._group_name = group
        self._generation = -1
        self._positions: dict[tuple[str, int], int] = {}

    def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """See Consumer."""
        broker = self._broker
        with broker._changed:  # noqa: SLF001 - one module, one lock
            broker._changed.wait_for(lambda: broker._closed or self._has_records(), timeout_s)  # noqa: SLF001
            return self._take(max_records)

    def commit(self) -> None:
        """See Consumer."""
        broker = self._broker
        with broker._changed:  # noqa: SLF001
            group = broker._groups[self._group_name]  # noqa: SLF001
            if self not in group.members or self._generation not in (-1, group.generation):
                raise CommitRefused(f"group {self._group_name} was rebalanced")
            group.committed.update(self._positions)
            for name in group.topics:
                broker._trim(name, broker._topics[name])  # noqa: SLF001
            broker._changed.notify_all()  # noqa: SLF001

    def close(self) -> None:
        """See Consumer."""
        broker = self._broker
        with broker._changed:  # noqa: SLF001
            group = broker._groups[self._group_name]  # noqa: SLF001
            if self in group.members:
                group.members.remove(self)
                group.generation += 1
                broker._changed.notify_all()  # noqa: SLF001

    def _sync(self) -> None:
        """Start again from the committed offsets when the group has changed since the last call."""
        group = self._broker._groups[self._group_name]  # noqa: SLF001
        if self not in group.members:
            raise BrokerError("the consumer is closed")
        if self._generation != group.generation:
            self._generation = group.generation
            assigned = self._broker._assigned(group, self)  # noqa: SLF001
            self._positions = {place: group.committed.get(place, 0) for place in assigned}

    def _has_records(self) -> bool:
        self._sync()
        return any(
            self._partition(place).end > max(position, self._partition(place).first)
            for place, position in self._positions.items()
        )

    def _partition(self, place: tuple[str, int]) -> _Partition:
        return self._broker._topics[place[0]].partitions[place[1]]  # noqa: SLF001

    def _take(self, max_records: int) -> list[Record]:
        self._sync()
        taken: list[Record] = []
        # The longest queue first: a quiet partition is not kept waiting by a busy one, nor the reverse.
        for place in sorted(self._positions, key=lambda p: self._positions[p] - self._partition(p).end):
            partition = self._partition(place)
            start = max(self._positions[place], partition.first)
            wanted = range(start, min(partition.end, start + max_records - len(taken)))
            taken += [partition.records[offset - partition.first] for offset in wanted]
            self._positions[place] = start + len(wanted)
        return taken


class MemoryProducer:
    """A producer on a MemoryBroker: a record is delivered when `produce` returns."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def produce(self, topic: str, key: bytes, value: bytes | None) -> None:
        """See Producer."""
        self._broker._append(topic, key, value)  # noqa: SLF001

    def flush(self, timeout_s: float) -> None:
        """See Producer."""

    def close(self) -> None:
        """See Producer."""


class MemoryTableReader:
    """Reads a compacted topic of a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, topic: str, ends: list[int]) -> None:
        self._broker = broker
        self._topic = topic
        self._ends = ends
        self._positions = [0] * len(ends)

    def poll(self) -> Sequence[Record]:
        """See TableReader."""
        with self._broker._changed:  # noqa: SLF001
            fresh: list[Record] = []
            for number, partition in enumerate(self._broker._topics[self._topic].partitions):  # noqa: SLF001
                fresh += [r for r in partition.records if r.offset >= self._positions[number]]
                self._positions[number] = partition.end
            return fresh

    def caught_up(self) -> bool:
        """See TableReader."""
        return all(position >= end for position, end in zip(self._positions, self._ends, strict=True))

    def close(self) -> None:
        """See TableReader."""
