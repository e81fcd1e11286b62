"""A member of a consumer group on Kafka: batches as soon as there is a record, commits that know a rebalance."""

from collections.abc import Sequence

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from overt.runtime.broker import BrokerError, CommitRefused, Record
from overt.runtime.kafka_errors import ClientErrors

Place = tuple[str, int]

# The group has moved on without this member, or is about to.
MOVED_ON = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001 - librdkafka's own codes begin with an underscore
        KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
        KafkaError._STATE,  # noqa: SLF001
    }
)


class KafkaConsumer:
    """See Consumer."""

    def __init__(self, client: Client, group: str, topics: Sequence[str], errors: ClientErrors) -> None:
        self._client = client
        self._group = group
        self._errors = errors
        self._uncommitted: dict[Place, int] = {}
        self._lost: set[Place] = set()
        self._closed = False
        client.subscribe(list(topics), on_revoke=self._on_gone, on_lost=self._on_gone)

    def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """See Consumer. Raises BrokerError."""
        if self._closed:
            raise BrokerError("the consumer is closed")
        self._errors.check()
        # `consume` waits the whole time unless it can fill the batch, so: wait for the first, drain the rest.
        try:
            first = self._client.poll(timeout_s)
            if first is None:
                return []
            records = self._take([first])
            if max_records > 1:
                records += self._take(self._client.consume(max_records - 1, 0))
        except KafkaException as error:
            raise BrokerError(f"reading from Kafka failed: {error.args[0].str()}") from None
        return records

    def commit(self) -> None:
        """See Consumer. What stayed with this member is committed even when other partitions moved."""
        if self._closed:
            raise CommitRefused(f"group {self._group} was left")
        lost, self._lost = self._lost, set()
        done, self._uncommitted = self._uncommitted, {}
        if done:
            self._commit([TopicPartition(topic, number, offset) for (topic, number), offset in done.items()])
        if lost:
            raise CommitRefused(f"group {self._group} was rebalanced, {len(lost)} partitions moved")

    def close(self) -> None:
        """See Consumer."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def _commit(self, offsets: list[TopicPartition]) -> None:
        try:
            answers = self._client.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise self._refusal(error.args[0]) from None
        for answer in answers:
            if answer.error is not None:
                raise self._refusal(answer.error)

    def _refusal(self, error: KafkaError) -> BrokerError:
        if error.code() in MOVED_ON:
            return CommitRefused(f"group {self._group} was rebalanced ({error.name()})")
        return BrokerError(f"group {self._group} could not commit: {error.str()}")

    def _take(self, messages: Sequence[Message]) -> list[Record]:
        records = [record_of(message) for message in messages if not self._was_away(message)]
        for record in records:
            self._uncommitted[record.topic, record.partition] = record.offset + 1
        return records

    def _was_away(self, message: Message) -> bool:
        """Whether this tells that the group went on without us; polling again joins it again."""
        error = message.error()
        if error is None or error.code() != KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001
            return False
        self._errors.report(error)
        return True

    def _on_gone(self, _: Client, partitions: list[TopicPartition]) -> None:
        """A rebalance, served inside `poll` or `close`: what was not committed comes back to somebody else."""
        for partition in partitions:
            place = (partition.topic, partition.partition)
            if self._uncommitted.pop(place, None) is not None:
                self._lost.add(place)


def record_of(message: Message) -> Record:
    """Return the record that `message` holds. Raises BrokerError when it holds an error."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    error = message.error()
    if error is not None or topic is None or partition is None or offset is None:
        raise BrokerError(
            f"Kafka: {topic or 'no topic'}: {error.str() if error is not None else 'no record'}"
        )
    return Record(topic, partition, offset, message.key() or b"", message.value(), message.timestamp()[1])
