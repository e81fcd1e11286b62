"""Reads a whole compacted topic of Kafka from its beginning, and says when it has seen what was there."""

from collections.abc import Sequence
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Consumer as Client

from overt.runtime.broker import BrokerError, Record
from overt.runtime.kafka_consumer import record_of
from overt.runtime.kafka_errors import AWAY, ClientErrors

BATCH = 500
WAIT_S = 0.1


class KafkaTableReader:
    """See TableReader.

    Opening it reads up to the end the topic has then, so that a service knows every order before it is
    given its first record: without that it would drop live records for want of an order.
    """

    def __init__(
        self, client: Client, topic: str, partitions: Sequence[int], errors: ClientErrors, *, timeout_s: float
    ) -> None:
        self._client = client
        self._topic = topic
        self._errors = errors
        self._behind = set(partitions)
        self._read: list[Record] = []
        try:
            client.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
            self._catch_up(monotonic() + timeout_s)
        except KafkaException as error:
            raise BrokerError(f"reading {topic} from its beginning failed: {error.args[0].str()}") from None

    def poll(self) -> Sequence[Record]:
        """See TableReader. Raises BrokerError."""
        self._errors.check()
        while self._fetch(0):
            pass
        read, self._read = self._read, []
        return read

    def caught_up(self) -> bool:
        """See TableReader."""
        return not self._behind and not self._read

    def close(self) -> None:
        """See TableReader."""
        self._client.close()

    def _catch_up(self, deadline_s: float) -> None:
        # The end of a partition is announced, not computed: compaction leaves gaps before it.
        while self._behind:
            self._errors.check()
            if monotonic() > deadline_s:
                raise BrokerError(f"{self._topic} was not read to its end in time")
            self._fetch(WAIT_S)

    def _fetch(self, wait_s: float) -> int:
        """Take what is there, waiting for the first for `wait_s`; return how many messages it were."""
        first = self._client.poll(wait_s)
        if first is None:
            return 0
        messages = [first, *self._client.consume(BATCH, 0)]
        for message in messages:
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's
                self._behind.discard(message.partition() or 0)
            elif error is not None and error.code() in AWAY:
                self._errors.report(error)
            else:
                self._read.append(record_of(message))
        return len(messages)
