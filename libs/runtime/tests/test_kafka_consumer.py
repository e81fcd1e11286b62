"""What the Kafka consumer keeps of its offsets when the group refuses a commit; the client here is a double."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from structlog.testing import capture_logs

from overt.runtime.broker import BrokerError, CommitRefused
from overt.runtime.kafka_consumer import FENCED, KafkaConsumer

Places = dict[int, int]


@dataclass(frozen=True)
class Delivered:
    """A message as librdkafka hands it over."""

    number: int
    at: int

    def topic(self) -> str:
        return "events"

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b"value"

    def error(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


@dataclass
class ClientDouble:
    """Hands over `messages` and refuses the next commit for `refusal`, if any; notes every commit.

    `stands`: what the group has committed by partition; None while its coordinator is away.
    """

    messages: list[Delivered] = field(default_factory=list)
    refusal: int | None = None
    commits: list[Places] = field(default_factory=list)
    stands: Places | None = field(default_factory=dict)
    asked: int = 0
    on_revoke: Callable[[Any, list[TopicPartition]], None] | None = None

    def subscribe(self, _: Sequence[str], *, on_revoke: Any, **__: object) -> None:
        self.on_revoke = on_revoke

    def poll(self, _: float) -> Delivered | None:
        return self.messages.pop(0) if self.messages else None

    def consume(self, *_: object) -> list[Delivered]:
        messages, self.messages = self.messages, []
        return messages

    def committed(self, places: list[TopicPartition], _: float) -> list[TopicPartition]:
        self.asked += 1
        if self.stands is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [TopicPartition(at.topic, at.partition, self.stands.get(at.partition, -1001)) for at in places]

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        self.commits.append({at.partition: at.offset for at in offsets})
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise KafkaException(KafkaError(refusal))
        return []

    def close(self) -> None:
        pass

    def assignment(self) -> list[TopicPartition]:
        return []

    def pause(self, _: list[TopicPartition]) -> None:
        pass

    def revoke(self, number: int) -> None:
        assert self.on_revoke is not None
        self.on_revoke(self, [TopicPartition("events", number)])


@pytest.fixture
def client() -> ClientDouble:
    return ClientDouble([Delivered(0, 4), Delivered(1, 7)])


@pytest.fixture
def consumer(client: ClientDouble) -> KafkaConsumer:
    consumer = KafkaConsumer(lambda _: cast("Client", client), "group", ["events"])
    assert len(consumer.poll(100, 0)) == 2
    return consumer


def refuse(consumer: KafkaConsumer, client: ClientDouble, code: int) -> None:
    client.refusal = code
    with pytest.raises(CommitRefused):
        consumer.commit()


def test_what_stays_after_a_commit_in_a_rebalance_is_committed_next_time(
    client: ClientDouble, consumer: KafkaConsumer
) -> None:
    refuse(consumer, client, KafkaError.REBALANCE_IN_PROGRESS)
    consumer.commit()
    consumer.commit()  # and then no more
    assert client.commits == [{0: 5, 1: 8}, {0: 5, 1: 8}]


def test_what_goes_after_a_commit_in_a_rebalance_is_not_committed(
    client: ClientDouble, consumer: KafkaConsumer
) -> None:
    refuse(consumer, client, KafkaError.REBALANCE_IN_PROGRESS)
    client.revoke(1)
    client.messages = [Delivered(0, 5)]
    assert len(consumer.poll(100, 0)) == 1
    consumer.commit()
    assert client.commits[-1] == {0: 6}


def test_what_comes_after_a_partition_went_and_came_back_is_held(
    client: ClientDouble, consumer: KafkaConsumer
) -> None:
    refuse(consumer, client, KafkaError.REBALANCE_IN_PROGRESS)
    client.revoke(0)
    client.messages = [Delivered(0, 4)]
    (record,) = consumer.poll(100, 0)
    assert consumer.holds(record)
    consumer.commit()
    assert client.commits[-1][0] == 5


def test_of_a_partition_that_went_and_came_back_within_a_batch_nothing_is_committed(
    client: ClientDouble, consumer: KafkaConsumer
) -> None:
    consumer.commit()
    client.messages = [Delivered(1, 8), Delivered(0, 5)]
    consumer.poll(100, 0)
    client.revoke(0)
    consumer.pause()
    client.messages = [Delivered(0, 5)]  # before it is paused again
    (record,) = consumer.poll(100, 0)
    assert not consumer.holds(record)
    with pytest.raises(CommitRefused, match="1 partitions moved"):
        consumer.commit()
    assert client.commits[-1] == {1: 9}


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION])
def test_a_member_that_the_group_no_longer_knows_commits_nothing_old(
    client: ClientDouble, consumer: KafkaConsumer, code: int
) -> None:
    refuse(consumer, client, code)
    consumer.commit()
    assert len(client.commits) == 1


def reader(client: ClientDouble) -> KafkaConsumer:
    return KafkaConsumer(lambda _: cast("Client", client), "group", ["events"])


def test_what_lies_between_the_committed_offset_and_the_first_record_has_expired() -> None:
    client = ClientDouble([Delivered(0, 40), Delivered(0, 41), Delivered(1, 7)], stands={0: 10, 1: 7})
    consumer = reader(client)
    with capture_logs() as lines:
        consumer.poll(100, 0)
    assert consumer.expired() == {"events": 30}
    assert consumer.expired() == {}
    assert [(line["topic"], line["partition"], line["records"]) for line in lines] == [("events", 0, 30)]


def test_what_expired_while_the_member_waited_counts_too() -> None:
    client = ClientDouble([Delivered(0, 10)], stands={0: 10})
    consumer = reader(client)
    consumer.poll(100, 0)
    client.messages = [Delivered(0, 15), Delivered(0, 16), Delivered(0, 19)]
    consumer.poll(100, 0)
    assert consumer.expired() == {"events": 4 + 2}
    assert client.asked == 1


@pytest.mark.parametrize("stands", [{}, None])
def test_a_group_that_has_committed_nothing_or_does_not_answer_has_missed_nothing(
    stands: Places | None,
) -> None:
    consumer = reader(ClientDouble([Delivered(0, 40), Delivered(0, 41)], stands=stands))
    consumer.poll(100, 0)
    assert consumer.expired() == {}


def test_what_another_member_read_meanwhile_has_not_expired() -> None:
    client = ClientDouble([Delivered(0, 10)], stands={0: 10})
    consumer = reader(client)
    consumer.poll(100, 0)
    client.revoke(0)
    client.stands, client.messages = {0: 30}, [Delivered(0, 31)]
    consumer.poll(100, 0)
    assert consumer.expired() == {"events": 1}


@dataclass(frozen=True)
class Fenced(Delivered):
    """What librdkafka hands over when somebody joined under this member's name."""

    def error(self) -> Any:
        return KafkaError(KafkaError._FATAL, f"Fatal error: {FENCED}: OffsetCommit failed")


@pytest.mark.parametrize("before", [[], [Delivered(0, 5)]], ids=["at first", "behind a record"])
def test_a_fenced_member_begins_anew_and_what_was_not_committed_comes_again(
    client: ClientDouble, consumer: KafkaConsumer, before: list[Delivered]
) -> None:
    client.messages = [*before, Fenced(0, 6)]
    assert consumer.poll(100, 0) == []
    with pytest.raises(CommitRefused, match="2 partitions moved"):
        consumer.commit()
    client.messages = [Delivered(0, 4)]
    assert len(consumer.poll(100, 0)) == 1
    consumer.commit()
    assert client.commits == [{0: 5}]


def test_a_member_fenced_twice_has_a_namesake(client: ClientDouble, consumer: KafkaConsumer) -> None:
    client.messages = [Fenced(0, 6)]
    assert consumer.poll(100, 0) == []
    client.messages = [Fenced(0, 6)]
    with pytest.raises(BrokerError, match="OVERT_KAFKA_INSTANCE_ID"):
        consumer.poll(100, 0)
