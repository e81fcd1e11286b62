"""The in-process broker: the contract, and what only it promises about memory."""

import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.runtime.broker import BrokerError, CommitRefused
from overt.runtime.clock import ManualClock, SystemClock
from overt.runtime.memory import MemoryBroker, TopicLimits

from .broker_contract import PARTITIONS, PATIENCE_S, BrokerContract, World, until, values

SMALL = TopicLimits(partitions=2, max_records=4, max_bytes=1_000)


def world_in_memory(events: TopicLimits | None = None) -> World:
    limits = {
        "events.v1": events or TopicLimits(PARTITIONS),
        "events.v1.dead": TopicLimits(PARTITIONS),
        "table.v1": TopicLimits(compacted=True),
    }
    return World(MemoryBroker(limits, SystemClock()), "events.v1", "table.v1", "readers")


class TestContract(BrokerContract):
    @pytest.fixture
    def world(self) -> World:
        return world_in_memory()


@pytest.fixture
def broker() -> MemoryBroker:
    topics = {"small.v1": SMALL, "table.v1": TopicLimits(compacted=True), "wide.v1": TopicLimits(3)}
    return MemoryBroker(topics, ManualClock())


def waiters(broker: MemoryBroker) -> int:
    waiting = broker._changed._waiters  # type: ignore[attr-defined]
    return len(waiting)


class Blocked:
    """A producer in a thread that waits for room."""

    def __init__(self, broker: MemoryBroker, value: bytes) -> None:
        self.error: BrokerError | None = None
        self.thread = threading.Thread(target=self._produce, args=(broker, value), daemon=True)
        self.thread.start()
        until(lambda: waiters(broker) == 1 or not self.thread.is_alive())

    def _produce(self, broker: MemoryBroker, value: bytes) -> None:
        try:
            broker.producer().produce("small.v1", b"key", value)
        except BrokerError as error:
            self.error = error

    @property
    def waits(self) -> bool:
        return self.thread.is_alive()

    def joined(self) -> bool:
        self.thread.join(PATIENCE_S)
        return not self.thread.is_alive()


def fill(broker: MemoryBroker, count: int, size: int = 1) -> None:
    for number in range(count):
        broker.producer().produce("small.v1", b"key", bytes([number]) * size)


@pytest.mark.parametrize(("count", "size"), [(4, 1), (3, 300)], ids=["records", "bytes"])
def test_a_full_topic_blocks_its_producer_until_a_commit_makes_room(
    broker: MemoryBroker, count: int, size: int
) -> None:
    consumer = broker.consumer("readers", ["small.v1"])
    fill(broker, count, size)
    blocked = Blocked(broker, b"x" * size)
    assert blocked.waits
    assert len(consumer.poll(10, 0)) == count
    assert blocked.waits  # read, but not done with
    consumer.commit()
    assert blocked.joined()
    assert values(consumer.poll(10, 0)) == [b"x" * size]


def test_a_slow_group_holds_the_producer_back_even_when_another_is_done(broker: MemoryBroker) -> None:
    fast, slow = (broker.consumer(name, ["small.v1"]) for name in ("fast", "slow"))
    fill(broker, 4)
    blocked = Blocked(broker, b"x")
    fast.poll(10, 0)
    fast.commit()
    assert blocked.waits
    slow.poll(10, 0)
    slow.commit()
    assert blocked.joined()


def test_one_record_always_fits_however_large(broker: MemoryBroker) -> None:
    consumer = broker.consumer("readers", ["small.v1"])
    broker.producer().produce("small.v1", b"key", bytes(50_000))
    assert len(consumer.poll(10, 0)) == 1


def test_closing_the_broker_frees_a_blocked_producer(broker: MemoryBroker) -> None:
    broker.consumer("readers", ["small.v1"])
    fill(broker, 4)
    blocked = Blocked(broker, b"x")
    broker.close()
    assert blocked.joined()
    assert blocked.error is not None


def test_a_producer_does_not_wait_for_a_group_whose_last_member_has_left(broker: MemoryBroker) -> None:
    consumer = broker.consumer("readers", ["small.v1"])
    fill(broker, 4)
    blocked = Blocked(broker, b"x")
    assert blocked.waits
    consumer.close()
    assert blocked.joined()
    assert blocked.error is None


def test_a_group_without_members_does_not_stop_one_that_has_some(broker: MemoryBroker) -> None:
    broker.consumer("gone", ["small.v1"]).close()
    consumer = broker.consumer("readers", ["small.v1"])
    for number in range(20):
        broker.producer().produce("small.v1", b"key", str(number).encode())
        assert values(consumer.poll(10, 0)) == [str(number).encode()]
        consumer.commit()
    assert len(broker.held_records("small.v1")) <= SMALL.max_records


def test_without_a_reader_memory_stays_within_the_limits_and_the_newest_stay(broker: MemoryBroker) -> None:
    for number in range(100):
        broker.producer().produce("small.v1", b"key", str(number).encode())
    assert values(broker.held_records("small.v1")) == [b"96", b"97", b"98", b"99"]


def test_a_record_leaves_memory_once_every_group_has_committed_it(broker: MemoryBroker) -> None:
    one, two = (broker.consumer(name, ["small.v1"]) for name in ("one", "two"))
    fill(broker, 2)
    one.poll(10, 0)
    one.commit()
    assert len(broker.held_records("small.v1")) == 2
    two.poll(10, 0)
    two.commit()
    assert not broker.held_records("small.v1")


def test_a_compacted_topic_holds_one_record_a_key_wherever_the_oldest_stands(broker: MemoryBroker) -> None:
    producer = broker.producer()
    producer.produce("table.v1", b"stays", b"first")
    for number in range(1_000):
        producer.produce("table.v1", b"changes", str(number).encode())
    assert values(broker.held_records("table.v1")) == [b"first", b"999"]


def test_a_group_may_read_a_compacted_topic_across_its_gaps(broker: MemoryBroker) -> None:
    consumer = broker.consumer("readers", ["table.v1"])
    producer = broker.producer()
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", b"2")):
        producer.produce("table.v1", key, value)
    assert values(consumer.poll(10, 0)) == [b"2", b"2"]
    consumer.commit()
    assert broker.is_drained()


def test_a_commit_by_a_member_that_missed_the_rebalance_is_refused(broker: MemoryBroker) -> None:
    first = broker.consumer("readers", ["wide.v1"])
    broker.producer().produce("wide.v1", b"key", b"x")
    assert first.poll(10, 0)
    broker.consumer("readers", ["wide.v1"])
    with pytest.raises(CommitRefused):
        first.commit()


def test_a_group_keeps_to_its_topics(broker: MemoryBroker) -> None:
    broker.consumer("readers", ["small.v1"])
    with pytest.raises(BrokerError, match="readers"):
        broker.consumer("readers", ["wide.v1"])


def test_drained_means_that_every_group_is_done_with_what_is_there(broker: MemoryBroker) -> None:
    fill(broker, 3)
    consumer = broker.consumer("readers", ["small.v1"])
    assert not broker.is_drained()
    consumer.poll(10, 0)
    assert not broker.is_drained()
    consumer.commit()
    assert broker.is_drained()


def test_a_group_that_comes_after_records_were_dropped_can_be_drained(broker: MemoryBroker) -> None:
    early = broker.consumer("early", ["small.v1"])
    fill(broker, 3)
    early.poll(10, 0)
    early.commit()
    late = broker.consumer("late", ["small.v1"])
    assert not late.poll(10, 0)
    assert broker.is_drained()


def test_the_broker_stamps_its_own_time() -> None:
    clock = ManualClock(now_s=1_700_000_000.5)
    broker = MemoryBroker({"small.v1": SMALL}, clock)
    broker.producer().produce("small.v1", b"", b"")
    assert [record.timestamp_ms for record in broker.held_records("small.v1")] == [1_700_000_000_500]


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "poll", "commit", "crash"]), st.integers(0, 9)), max_size=60
)


@given(STEPS)
def test_whatever_happens_every_record_is_committed_once_and_in_order_of_its_key(steps: list[Step]) -> None:
    """Against the obvious model: per key, what is delivered after the last commit starts right after it."""
    broker = MemoryBroker({"t": TopicLimits(3)}, ManualClock())
    consumer, sent = broker.consumer("g", ["t"]), dict.fromkeys(range(10), 0)
    done: dict[int, int] = dict.fromkeys(range(10), 0)
    seen = dict(done)

    def poll(count: int) -> None:
        for record in consumer.poll(count, 0):
            key = record.key[0]
            assert record.value == str(seen[key]).encode()
            seen[key] += 1

    for what, number in steps:
        if what == "send":
            broker.producer().produce("t", bytes([number]), str(sent[number]).encode())
            sent[number] += 1
        elif what == "poll":
            poll(number + 1)
        elif what == "commit":
            consumer.commit()
            done = dict(seen)
        else:
            consumer.close()
            consumer, seen = broker.consumer("g", ["t"]), dict(done)
    poll(1_000)
    assert seen == sent


def test_what_went_while_nobody_of_the_group_was_there_is_told_once(broker: MemoryBroker) -> None:
    producer = broker.producer()
    with closing(broker.consumer("readers", ["small.v1"])) as consumer:
        producer.produce("small.v1", b"key", b"read")
        assert len(consumer.poll(10, PATIENCE_S)) == 1
        consumer.commit()
    for _ in range(SMALL.max_records + 3):
        producer.produce("small.v1", b"key", b"too many")
    with closing(broker.consumer("readers", ["small.v1"])) as consumer:
        assert len(consumer.poll(10, PATIENCE_S)) == SMALL.max_records
        assert consumer.expired() == {"small.v1": 3}
        assert consumer.expired() == {}
