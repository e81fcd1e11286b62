"""What every broker must do; run over the in-process one here and over a real Kafka in tests/integration."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Self

import pytest

from overt.runtime.broker import Broker, BrokerError, CommitRefused, Consumer, Record

PARTITIONS = 4
PATIENCE_S = 60.0
KEYS = [f"camera-{number}".encode() for number in range(16)]


@dataclass(frozen=True)
class World:
    """A broker with fresh topics: `events` of four partitions, its dead letters, and a compacted `table`."""

    broker: Broker
    events: str
    table: str
    group: str

    @property
    def dead(self) -> str:
        return self.events + ".dead"

    def send(self, *pairs: tuple[bytes, bytes | None], topic: str | None = None) -> None:
        producer = self.broker.producer()
        for key, value in pairs:
            producer.produce(topic or self.events, key, value)
        producer.flush(PATIENCE_S)
        producer.close()

    @contextmanager
    def member(self, group: str = "", topic: str | None = None) -> Iterator[Consumer]:
        with closing(self.broker.consumer(self.group + group, [topic or self.events])) as consumer:
            yield consumer


def until(condition: Callable[[], object]) -> None:
    """Return once `condition()` is true; it must make progress itself (poll). Fails after PATIENCE_S."""
    deadline_s = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < deadline_s, "waited in vain"


def read(consumer: Consumer, count: int) -> list[Record]:
    """Poll until there are at least `count` records."""
    records: list[Record] = []

    def enough() -> bool:
        records.extend(consumer.poll(100, 0.1))
        return len(records) >= count

    until(enough)
    return records


def values(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def numbered(count: int, key: bytes = b"camera-1") -> list[tuple[bytes, bytes]]:
    return [(key, str(number).encode()) for number in range(count)]


class Reading:
    """A member that reads, commits and leaves in a thread of its own, as members do.

    In one thread two members of Kafka can wait for each other: a commit during a rebalance is answered once
    the others have joined, and to join they must poll.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.records: list[Record] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def keys_of(self, value: bytes) -> set[bytes]:
        return {record.key for record in list(self.records) if record.value == value}

    def places(self) -> set[tuple[int, int]]:
        return {(record.partition, record.offset) for record in list(self.records)}

    def _run(self) -> None:
        while not self._stop.is_set():
            self.records += self._consumer.poll(100, 0.1)
            with suppress(CommitRefused):
                self._consumer.commit()
        self._consumer.close()


class BrokerContract:
    """Subclass with a `world` fixture."""

    def test_a_record_arrives_as_it_was_sent(self, world: World) -> None:
        world.send((b"camera-1", b"value"), (b"", b""), (b"camera-2", None))
        with world.member() as consumer:
            records = read(consumer, 3)
        assert {(r.topic, r.key, r.value) for r in records} == {
            (world.events, b"camera-1", b"value"),
            (world.events, b"", b""),
            (world.events, b"camera-2", None),
        }
        assert all(record.timestamp_ms > 1_600_000_000_000 for record in records)

    def test_a_key_always_goes_to_the_same_partition(self, world: World) -> None:
        for _ in range(3):
            world.send(*((key, b"x") for key in KEYS))
        with world.member() as consumer:
            records = read(consumer, 3 * len(KEYS))
        places = {(record.key, record.partition) for record in records}
        assert len(places) == len(KEYS)
        assert len({partition for _, partition in places}) > 1

    def test_order_is_kept_within_a_partition(self, world: World) -> None:
        world.send(*numbered(50))
        with world.member() as consumer:
            records = read(consumer, 50)
        assert values(records) == [value for _, value in numbered(50)]
        assert [record.offset for record in records] == list(range(50))

    def test_two_groups_each_get_everything(self, world: World) -> None:
        world.send(*numbered(5))
        with world.member("a") as first, world.member("b") as second:
            assert values(read(first, 5)) == values(read(second, 5)) == [v for _, v in numbered(5)]

    def test_two_members_of_a_group_share_the_records(self, world: World) -> None:
        with world.member() as one, world.member() as other, Reading(one) as first, Reading(other) as second:
            numbers = iter(range(1_000_000))

            def a_round_is_shared() -> bool:
                """Earlier rounds go through while the group is still forming."""
                value = str(next(numbers)).encode()
                world.send(*((key, value) for key in KEYS))
                until(lambda: first.keys_of(value) | second.keys_of(value) == set(KEYS))
                return bool(first.keys_of(value) and second.keys_of(value))

            until(a_round_is_shared)
            world.send(*((key, b"now") for key in KEYS))
            until(lambda: first.keys_of(b"now") | second.keys_of(b"now") == set(KEYS))
            assert not first.keys_of(b"now") & second.keys_of(b"now")

    def test_what_was_not_committed_comes_back_after_a_close(self, world: World) -> None:
        world.send(*numbered(3))
        with world.member() as consumer:
            first = read(consumer, 3)
        with world.member() as consumer:
            assert read(consumer, 3) == first

    def test_what_was_committed_does_not_come_back(self, world: World) -> None:
        world.send(*numbered(3))
        with world.member() as consumer:
            read(consumer, 3)
            consumer.commit()
        world.send((b"camera-1", b"later"))
        with world.member() as consumer:
            assert values(read(consumer, 1)) == [b"later"]

    def test_only_what_was_polled_is_committed(self, world: World) -> None:
        world.send(*numbered(4))
        with world.member() as consumer:
            until(lambda: consumer.poll(1, 0.1))
            consumer.commit()
        with world.member() as consumer:
            assert values(read(consumer, 3)) == [b"1", b"2", b"3"]

    def test_a_commit_of_nothing_is_no_error(self, world: World) -> None:
        with world.member() as consumer:
            consumer.commit()

    def test_after_a_rebalance_the_commit_is_refused_and_what_moved_comes_back(self, world: World) -> None:
        world.send(*((key, b"x") for key in KEYS))
        with world.member() as first:
            everything = {(record.partition, record.offset) for record in read(first, len(KEYS))}
            first.pause()  # as whoever has a batch in hand and only polls to stay in the group
            with world.member() as joining, Reading(joining) as second:
                # A member hears of the rebalance when it polls.
                until(lambda: [first.poll(100, 0.05), second.records][1])
                with pytest.raises(CommitRefused):
                    first.commit()
                first.resume()

                def has_all_of_its_partitions() -> bool:
                    seen = second.places()
                    mine = {partition for partition, _ in seen}
                    return seen >= {place for place in everything if place[0] in mine}

                with Reading(first):
                    until(has_all_of_its_partitions)

    def test_a_paused_member_gets_nothing_and_then_goes_on_where_it_was(self, world: World) -> None:
        world.send(*numbered(3))
        with world.member() as consumer:
            until(lambda: consumer.poll(1, 0.1))
            consumer.pause()
            world.send((b"camera-1", b"3"))
            assert [list(consumer.poll(100, 0.2)) for _ in range(3)] == [[], [], []]
            consumer.resume()
            assert values(read(consumer, 3)) == [b"1", b"2", b"3"]

    def test_what_moves_during_a_pause_is_no_longer_held_and_what_comes_is_paused_too(
        self, world: World
    ) -> None:
        world.send(*((key, b"x") for key in KEYS))
        with world.member() as first:
            records = read(first, len(KEYS))
            assert all(first.holds(record) for record in records)
            first.pause()
            got: list[Record] = []

            def poll() -> bool:
                got.extend(first.poll(100, 0.05))
                return True

            with world.member() as joining, Reading(joining) as second:
                until(lambda: poll() and second.records)
                held = {record.partition for record in records if first.holds(record)}
                assert not held & {partition for partition, _ in second.places()}
            with pytest.raises(CommitRefused):
                first.commit()
            world.send(*((key, b"later") for key in KEYS))
            for _ in range(20):
                poll()
            assert got == []
            first.resume()
            until(lambda: poll() and {record.key for record in got if record.value == b"later"} == set(KEYS))

    def test_a_member_has_joined_even_if_there_is_no_partition_left_for_it(self, world: World) -> None:
        with ExitStack() as stack:
            members = [stack.enter_context(world.member()) for _ in range(PARTITIONS + 1)]

            def all_joined() -> bool:
                for member in members:
                    member.poll(1, 0.02)
                return all(member.joined() for member in members)

            until(all_joined)

    def test_the_lag_is_what_was_not_polled_yet(self, world: World) -> None:
        world.send(*numbered(5))
        with world.member() as consumer:
            until(lambda: consumer.poll(1, 0.1))
            until(lambda: consumer.lag() == {world.events: 4})
            read(consumer, 4)
            until(lambda: consumer.lag() == {world.events: 0})

    def test_a_poll_never_returns_more_than_asked_for(self, world: World) -> None:
        world.send(*numbered(10))
        with world.member() as consumer:
            sizes: list[int] = []

            def all_came() -> bool:
                sizes.append(len(consumer.poll(3, 0.1)))
                return sum(sizes) == 10

            until(all_came)
        assert max(sizes) <= 3

    def test_a_poll_returns_as_soon_as_there_is_one_record(self, world: World) -> None:
        with world.member() as consumer:
            until(lambda: self._has_joined(world, consumer))
            got: list[Record] = []
            # Far longer than the test's patience: waiting it out would fail.
            waiting = threading.Thread(
                target=lambda: got.extend(consumer.poll(100, 100 * PATIENCE_S)), daemon=True
            )
            waiting.start()
            world.send((b"camera-1", b"one"))
            waiting.join(PATIENCE_S)
            assert values(got) == [b"one"]

    @staticmethod
    def _has_joined(world: World, consumer: Consumer) -> bool:
        world.send((b"camera-1", b"hello"))
        if not consumer.poll(100, 0.2):
            return False
        while consumer.poll(100, 0.2):
            pass
        return True

    def test_a_poll_without_records_is_empty_after_its_time(self, world: World) -> None:
        with world.member() as consumer:
            assert list(consumer.poll(10, 0.05)) == []

    def test_a_closed_consumer_reads_and_commits_no_more(self, world: World) -> None:
        consumer = world.broker.consumer(world.group, [world.events])
        consumer.close()
        consumer.close()
        with pytest.raises(BrokerError):
            consumer.poll(1, 0)
        with pytest.raises(CommitRefused):
            consumer.commit()

    def test_a_record_of_eight_megabytes_passes(self, world: World) -> None:
        picture = bytes(8_400_000)
        world.send((b"camera-1", picture))
        with world.member() as consumer:
            assert values(read(consumer, 1)) == [picture]

    def test_a_topic_that_is_not_there_is_refused_by_name(self, world: World) -> None:
        with pytest.raises(BrokerError, match=r"nowhere\.v1"):
            world.broker.consumer(world.group, ["nowhere.v1"])
        with pytest.raises(BrokerError, match=r"nowhere\.v1"):
            world.broker.table("nowhere.v1")
        with closing(world.broker.producer()) as producer, pytest.raises(BrokerError, match=r"nowhere\.v1"):
            producer.produce("nowhere.v1", b"", b"")

    def test_the_first_poll_of_a_table_returns_the_newest_of_every_key(self, world: World) -> None:
        world.send((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), topic=world.table)
        with closing(world.broker.table(world.table)) as table:
            assert not table.caught_up()
            newest = {record.key: record.value for record in table.poll()}
            assert table.caught_up()
        assert newest == {b"a": b"2", b"b": b"1"}

    def test_a_table_goes_on_with_what_comes_later(self, world: World) -> None:
        with closing(world.broker.table(world.table)) as table:
            assert list(table.poll()) == []
            assert table.caught_up()
            world.send((b"a", b"1"), (b"a", None), topic=world.table)
            later: list[Record] = []

            def has_come() -> bool:
                later.extend(table.poll())
                return bool(later) and later[-1].value is None

            until(has_come)
            assert list(table.poll()) == []

    def test_two_tables_of_one_topic_both_see_all_of_it(self, world: World) -> None:
        world.send((b"a", b"1"), topic=world.table)
        with closing(world.broker.table(world.table)) as one, closing(world.broker.table(world.table)) as two:
            assert values(one.poll()) == values(two.poll()) == [b"1"]

    def test_threads_may_share_a_producer(self, world: World) -> None:
        producer = world.broker.producer()

        def send(key: bytes) -> None:
            for number in range(20):
                producer.produce(world.events, key, str(number).encode())
            producer.flush(PATIENCE_S)

        threads = [threading.Thread(target=send, args=(key,)) for key in KEYS[:4]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        producer.close()
        with world.member() as consumer:
            records = read(consumer, 80)
        for key in KEYS[:4]:
            assert values([r for r in records if r.key == key]) == [str(n).encode() for n in range(20)]
