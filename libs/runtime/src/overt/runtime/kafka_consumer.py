"""A member of a consumer group on Kafka: batches as soon as there is a record, commits that know a rebalance."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import structlog
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from overt.runtime.broker import BrokerAway, BrokerError, CommitRefused, Record
from overt.runtime.kafka_errors import AWAY, ClientErrors
from overt.runtime.kafka_expired import Expired, Place, place_of

log = structlog.get_logger()

# Somebody joined under this member's name. librdkafka says so in the text of a fatal error alone.
FENCED = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
# Twice within this time is no member that overtook itself: there are two processes of one name.
FENCED_AGAIN_S = 15.0

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
        KafkaError._FATAL,  # noqa: SLF001 - polling says why
    }
)


class KafkaConsumer:
    """See Consumer.

    A static member that joins again after its coordinator was silent may be fenced by its own earlier
    attempt, and librdkafka never gets over that: then this one begins anew with another client, and what
    was not committed comes again.
    """

    def __init__(
        self,
        connect: Callable[[ClientErrors], Client],
        group: str,
        topics: Sequence[str],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`connect` makes a client that reports its errors where it is told."""
        self._connect = connect
        self._group = group
        self._topics = topics
        self._monotonic_s = monotonic_s
        self._fenced_s: float | None = None
        self._uncommitted: dict[Place, int] = {}
        self._lost: set[Place] = set()
        self._paused = False
        self._closed = False
        self._expired = Expired()
        self._join()

    def _join(self) -> None:
        self._joined = self._fenced = False
        self._errors = ClientErrors()
        self._client = self._connect(self._errors)
        self._expired.ask(self._client)
        self._client.subscribe(
            list(self._topics), on_assign=self._on_come, on_revoke=self._on_gone, on_lost=self._on_lost
        )

    def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """See Consumer. Raises BrokerError, also when another process has the same name."""
        if self._closed:
            raise BrokerError("the consumer is closed")
        self._errors.check()
        # `consume` waits the whole time unless it can fill the batch, so: wait for the first, drain the rest.
        try:
            first = self._client.poll(timeout_s)
            if not self._paused:
                # What went until now was of a batch that is over: what comes after it is held.
                self._lost = set()
            if first is None:
                return []
            records = self._take([first])
            if max_records > 1:
                records += self._take(self._client.consume(max_records - 1, 0))
        except KafkaException as error:
            raise BrokerError(f"reading from Kafka failed: {error.args[0].str()}") from None
        if self._fenced:
            self._join_anew()
            return []
        return records

    def _join_anew(self) -> None:
        now_s, before_s = self._monotonic_s(), self._fenced_s
        if before_s is not None and now_s - before_s < FENCED_AGAIN_S:
            raise BrokerError(
                f"group {self._group}: another process has the same OVERT_KAFKA_INSTANCE_ID; give each its own"
            )
        self._fenced_s = now_s
        log.warning("fenced in its group, joins it anew", group=self._group)
        self._on_gone(self._client, [TopicPartition(*place) for place in self._uncommitted])
        self._client.close()
        self._join()

    def commit(self) -> None:
        """See Consumer. What stayed with this member is committed even when other partitions moved."""
        if self._closed:
            raise CommitRefused(f"group {self._group} was left")
        # A place that went and came back stays out: of its records some may not have been handled.
        kept = {place: at for place, at in self._uncommitted.items() if place not in self._lost}
        done = [TopicPartition(topic, number, at) for (topic, number), at in kept.items()]
        # BrokerAway passes here: what was to be committed stays so, for the next try.
        refused = self._refused(done) if done else None
        lost, self._lost = self._lost, set()
        # Asked in the middle of a rebalance: what then stays here is committed next time, what goes is taken
        # out by `_on_gone`. Any other refusal means that nothing is held any more.
        if refused is None or refused.code() != KafkaError.REBALANCE_IN_PROGRESS:
            self._uncommitted = {}
        if refused is not None:
            raise CommitRefused(f"group {self._group} was rebalanced ({refused.name()})")
        if lost:
            raise CommitRefused(f"group {self._group} was rebalanced, {len(lost)} partitions moved")

    def pause(self) -> None:
        """See Consumer."""
        self._paused = True
        self._client.pause(self._client.assignment())

    def resume(self) -> None:
        """See Consumer."""
        self._paused = False
        self._client.resume(self._client.assignment())

    def holds(self, record: Record) -> bool:
        """See Consumer. A partition that went and came back is lost too: its records come again."""
        return place_of(record) not in self._lost

    def joined(self) -> bool:
        """See Consumer."""
        return self._joined

    def lag(self) -> Mapping[str, int]:
        """See Consumer: by the answers to the last fetches, so nothing is asked and it stands still in a pause."""
        waiting = Counter(dict.fromkeys(self._topics, 0))
        try:
            places = self._client.position(self._client.assignment())
        except KafkaException:  # a fenced client: polling says so
            return waiting
        for at in places:
            ends = self._client.get_watermark_offsets(at, cached=True)
            # Negative: not known yet.
            waiting[at.topic] += max(ends[1] - at.offset, 0) if ends and min(ends[1], at.offset) >= 0 else 0
        return waiting

    def expired(self) -> Mapping[str, int]:
        """See Consumer."""
        return self._expired.take()

    def close(self) -> None:
        """See Consumer."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def _refused(self, offsets: list[TopicPartition]) -> KafkaError | None:
        """Commit; return why the group refused, or None. Raises BrokerAway, BrokerError."""
        try:
            answers = self._client.commit(offsets=offsets, asynchronous=False)
            error = next((answer.error for answer in answers if answer.error is not None), None)
        except KafkaException as raised:
            error = raised.args[0]
        if error is None or error.code() in MOVED_ON:
            return error
        kind = BrokerAway if error.code() in AWAY else BrokerError
        raise kind(f"group {self._group} could not commit: {error.str()}")

    def _take(self, messages: Sequence[Message]) -> list[Record]:
        records = [record_of(message) for message in messages if not self._passes(message)]
        self._expired.note(records)
        for record in records:
            self._uncommitted[place_of(record)] = record.offset + 1
        return records

    def _passes(self, message: Message) -> bool:
        """Whether this tells of something to get over: a group that went on, a broker away, a fenced member."""
        error = message.error()
        if error is not None and error.code() == KafkaError._FATAL and FENCED in error.str():  # noqa: SLF001
            self._fenced = True
            return True
        if error is None or error.code() not in AWAY | {KafkaError._MAX_POLL_EXCEEDED}:  # noqa: SLF001
            return False
        self._errors.report(error)
        return True

    def _on_come(self, client: Client, partitions: list[TopicPartition]) -> None:
        """A rebalance, served inside `poll`; what comes in a pause is paused too.

        A partition that went while it was paused is still paused when it comes back.
        """
        client.incremental_assign(partitions)
        if self._paused:
            client.pause(partitions)
        else:
            client.resume(partitions)
        self._joined = True

    def _on_gone(self, _: Client, partitions: list[TopicPartition]) -> None:
        """A rebalance, served inside `poll` or `close`: what was not committed comes back to somebody else."""
        for partition in partitions:
            place = (partition.topic, partition.partition)
            self._expired.forget(place)
            if self._uncommitted.pop(place, None) is not None:
                self._lost.add(place)

    def _on_lost(self, client: Client, partitions: list[TopicPartition]) -> None:
        """The group went on without this member, or the broker is away: polling joins again."""
        self._joined = False
        self._on_gone(client, partitions)


def record_of(message: Message) -> Record:
    """Return the record that `message` holds. Raises BrokerError when it holds an error."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    error = message.error()
    if error is not None or topic is None or partition is None or offset is None:
        raise BrokerError(
            f"Kafka: {topic or 'no topic'}: {error.str() if error is not None else 'no record'}"
        )
    return Record(topic, partition, offset, message.key() or b"", message.value(), message.timestamp()[1])
