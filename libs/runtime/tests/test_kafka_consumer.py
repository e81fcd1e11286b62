"""What the Kafka consumer keeps of its offsets when the group refuses a commit; the client here is a double."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from overt.runtime.broker import CommitRefused
from overt.runtime.kafka_consumer import KafkaConsumer
from overt.runtime.kafka_errors import ClientErrors

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
    """Hands over `messages` and refuses the next commit for `refusal`, if any; notes every commit."""

    messages: list[Delivered] = field(default_factory=list)
    refusal: int | None = None
    commits: list[Places] = field(default_factory=list)
    on_revoke: Callable[[Any, list[TopicPartition]], None] | None = None

    def subscribe(self, _: Sequence[str], *, on_revoke: Any, **__: object) -> None:
        self.on_revoke = on_revoke

    def poll(self, _: float) -> Delivered | None:
        return self.messages.pop(0) if self.messages else None

    def consume(self, *_: object) -> list[Delivered]:
        messages, self.messages = self.messages, []
        return messages

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        self.commits.append({at.partition: at.offset for at in offsets})
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise KafkaException(KafkaError(refusal))
        return []

    def revoke(self, number: int) -> None:
        assert self.on_revoke is not None
        self.on_revoke(self, [TopicPartition("events", number)])


@pytest.fixture
def client() -> ClientDouble:
    return ClientDouble([Delivered(0, 4), Delivered(1, 7)])


@pytest.fixture
def consumer(client: ClientDouble) -> KafkaConsumer:
    consumer = KafkaConsumer(cast("Client", client), "group", ["events"], ClientErrors())
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
    with pytest.raises(CommitRefused, match="1 partitions moved"):
        consumer.commit()
    assert client.commits[-1] == {0: 6}


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION])
def test_a_member_that_the_group_no_longer_knows_commits_nothing_old(
    client: ClientDouble, consumer: KafkaConsumer, code: int
) -> None:
    refuse(consumer, client, code)
    consumer.commit()
    assert len(client.commits) == 1
