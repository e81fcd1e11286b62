"""The in-process broker: topics, keys, partitions, groups and commits in bounded memory, nothing on disk.

It keeps what the Kafka loop relies on: order within a partition, at-least-once delivery to each group,
redelivery of what was not committed, and commits that fail after the group moved on. A record leaves
memory as soon as every group has committed it, so no face outlives its use. A full topic blocks its
producers while a member of some group still has to make room: that is the back-pressure. When nobody is
there to do so, the oldest records go instead, as Kafka's retention would have it: so memory stays bounded
and a producer never waits for a group whose last member has left.
"""

import threading
import zlib
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

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
    """Records in the order of their offsets, with gaps where compaction took some; `end` is the next offset."""

    records: deque[Record] = field(default_factory=deque)
    end: int = 0

    def since(self, offset: int, limit: int) -> list[Record]:
        return list(islice((record for record in self.records if record.offset >= offset), limit))

    def holds_since(self, offset: int) -> bool:
        return bool(self.records) and self.records[-1].offset >= offset


@dataclass(slots=True)
class _Topic:
    limits: TopicLimits
    partitions: list[_Partition]
    size_bytes: int = 0

    def held(self) -> int:
        return sum(len(partition.records) for partition in self.partitions)

    def exceeds(self, *, more_records: int, more_bytes: int) -> bool:
        """Whether a limit is passed with so much more. One record always fits, however large."""
        held = self.held() + more_records
        return held > 1 and (
            held > self.limits.max_records or self.size_bytes + more_bytes > self.limits.max_bytes
        )

    def append(self, number: int, record: Record) -> None:
        partition = self.partitions[number]
        if self.limits.compacted:
            for outdated in [held for held in partition.records if held.key == record.key]:
                partition.records.remove(outdated)
                self.size_bytes -= _size(outdated)
        partition.records.append(record)
        partition.end = record.offset + 1
        self.size_bytes += _size(record)

    def drop_oldest(self, partition: _Partition) -> None:
        self.size_bytes -= _size(partition.records.popleft())


@dataclass(slots=True)
class _Group:
    """Committed offsets survive the members; `generation` grows with every member that comes or goes."""

    topics: frozenset[str]
    members: list["MemoryConsumer"] = field(default_factory=list)
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    generation: int = 0


def _size(record: Record) -> int:
    return len(record.key) + len(record.value or b"")


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
        """Whether every group has committed everything on the topics it reads that is still there."""
        with self._changed:
            return not any(
                partition.holds_since(group.committed.get((name, number), 0))
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
            while not self._closed and self._must_wait(name, topic, size):
                self._changed.wait()
            if self._closed:
                raise BrokerError("the broker is closed")
            number = zlib.crc32(key) % len(topic.partitions)
            offset = topic.partitions[number].end
            topic.append(number, Record(name, number, offset, key, value, int(self._clock.now_s() * 1000)))
            self._trim(name, topic)
            self._changed.notify_all()

    def _must_wait(self, name: str, topic: _Topic, size: int) -> bool:
        if topic.limits.compacted or not topic.exceeds(more_records=1, more_bytes=size):
            return False
        readers = self._readers(name)
        # A group without members keeps nothing from going: those who are there must be able to go on.
        present = [group for group in readers if group.members]
        self._drop_committed(name, topic, present)
        return bool(present) and topic.exceeds(more_records=1, more_bytes=size)

    def _readers(self, name: str) -> list[_Group]:
        return [group for group in self._groups.values() if name in group.topics]

    def _trim(self, name: str, topic: _Topic) -> None:
        if topic.limits.compacted:
            return
        readers = self._readers(name)
        self._drop_committed(name, topic, readers)
        while not any(group.members for group in readers) and topic.exceeds(more_records=0, more_bytes=0):
            topic.drop_oldest(max(topic.partitions, key=lambda partition: len(partition.records)))

    @staticmethod
    def _drop_committed(name: str, topic: _Topic, groups: Sequence[_Group]) -> None:
        for number, partition in enumerate(topic.partitions):
            done = min((group.committed.get((name, number), 0) for group in groups), default=0)
            while partition.records and partition.records[0].offset < done:
                topic.drop_oldest(partition)

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
        self._uncommitted = False
        self._lost = False
        self._paused = False
        self._expired: Counter[str] = Counter()

    def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """See Consumer."""
        broker = self._broker
        with broker._changed:  # noqa: SLF001 - one module, one lock
            broker._changed.wait_for(self._has_records, timeout_s)  # noqa: SLF001
            return [] if self._paused else self._take(max_records)

    def commit(self) -> None:
        """See Consumer."""
        broker = self._broker
        with broker._changed:  # noqa: SLF001
            group = broker._groups[self._group_name]  # noqa: SLF001
            lost, self._lost, self._uncommitted = self._lost, False, False
            if self not in group.members or self._generation not in (-1, group.generation):
                raise CommitRefused(f"group {self._group_name} was rebalanced")
            group.committed.update(self._positions)
            for name in group.topics:
                broker._trim(name, broker._topics[name])  # noqa: SLF001
            broker._changed.notify_all()  # noqa: SLF001
            if lost:
                raise CommitRefused(f"group {self._group_name} was rebalanced after an earlier poll")

    def pause(self) -> None:
        """See Consumer."""
        self._paused = True

    def resume(self) -> None:
        """See Consumer."""
        self._paused = False

    def holds(self, record: Record) -> bool:  # noqa: ARG002 - all of them or none
        """See Consumer. Here every rebalance takes everything: all comes again from what was committed."""
        with self._broker._changed:  # noqa: SLF001
            self._sync()
            return not self._lost

    def joined(self) -> bool:
        """See Consumer."""
        return True

    def lag(self) -> Mapping[str, int]:
        """See Consumer."""
        with self._broker._changed:  # noqa: SLF001
            self._sync()
            waiting: Counter[str] = Counter()
            for place, at in self._positions.items():
                waiting[place[0]] += sum(
                    1 for record in self._partition(place).records if record.offset >= at
                )
            return waiting

    def expired(self) -> Mapping[str, int]:
        """See Consumer."""
        expired, self._expired = self._expired, Counter()
        return expired

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
            self._lost |= self._uncommitted
            self._uncommitted = False
            assigned = self._broker._assigned(group, self)  # noqa: SLF001
            self._positions = {place: group.committed.get(place, 0) for place in assigned}

    def _has_records(self) -> bool:
        self._sync()
        return not self._paused and any(
            self._partition(place).holds_since(at) for place, at in self._positions.items()
        )

    def _partition(self, place: tuple[str, int]) -> _Partition:
        return self._broker._topics[place[0]].partitions[place[1]]  # noqa: SLF001

    def _take(self, max_records: int) -> list[Record]:
        self._sync()
        committed = self._broker._groups[self._group_name].committed  # noqa: SLF001
        taken: list[Record] = []
        # The longest queue first: a quiet partition is not kept waiting by a busy one, nor the reverse.
        for place in sorted(self._positions, key=lambda p: self._positions[p] - self._partition(p).end):
            records = self._partition(place).since(self._positions[place], max_records - len(taken))
            if records:
                if place in committed:
                    self._expired[place[0]] += records[0].offset - self._positions[place]
                self._positions[place] = records[-1].offset + 1
            taken += records
        self._uncommitted |= bool(taken)
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
                fresh += partition.since(self._positions[number], len(partition.records))
                self._positions[number] = partition.end
            return fresh

    def caught_up(self) -> bool:
        """See TableReader."""
        return all(position >= end for position, end in zip(self._positions, self._ends, strict=True))

    def close(self) -> None:
        """See TableReader."""
