"""Sends records to Kafka: waits while its queue is full, and forgets no record that was not confirmed."""

import threading

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from overt.runtime.broker import BrokerError, Undelivered
from overt.runtime.kafka_admin import require_topics
from overt.runtime.kafka_errors import ClientErrors

# How long one wait for room in the send queue lasts before the queue is tried again.
ROOM_WAIT_S = 0.05
CLOSE_TIMEOUT_S = 10.0


class KafkaProducer:
    """See Producer.

    A record that was not delivered makes every later `flush` fail: threads may share a producer, and none
    may take another's failure for its own success. Whoever wants to go on makes a new one.
    """

    def __init__(self, client: Client, bootstrap: str, topics: frozenset[str], errors: ClientErrors) -> None:
        self._client = client
        self._bootstrap = bootstrap
        self._topics = topics
        self._errors = errors
        self._lock = threading.Lock()
        self._undelivered = 0
        self._first_problem = ""

    def produce(self, topic: str, key: bytes, value: bytes | None) -> None:
        """See Producer. Raises BrokerError for a topic that does not exist or a record that is too large."""
        if topic not in self._topics:
            self._topics |= require_topics(self._client, self._bootstrap, [topic]).keys()
        while True:
            self._errors.check()
            try:
                self._client.produce(topic, value, key, on_delivery=self._delivered)
            except BufferError:
                # Records leave the queue when they are delivered or after message.timeout.ms: this ends.
                self._client.poll(ROOM_WAIT_S)
            except KafkaException as error:
                raise BrokerError(f"Kafka refused a record for {topic}: {error.args[0].str()}") from None
            else:
                break
        self._client.poll(0)

    def flush(self, timeout_s: float) -> None:
        """See Producer."""
        waiting = self._client.flush(timeout_s)
        self._errors.check()
        with self._lock:
            undelivered, problem = self._undelivered, self._first_problem
        if undelivered:
            raise Undelivered(f"{undelivered} records were not delivered, the first because: {problem}")
        if waiting:
            raise Undelivered(f"{waiting} records were not confirmed within {timeout_s:g} s")

    def close(self) -> None:
        """See Producer. Raises Undelivered."""
        try:
            self.flush(CLOSE_TIMEOUT_S)
        finally:
            self._client.close()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            with self._lock:
                self._undelivered += 1
                self._first_problem = self._first_problem or f"{message.topic()}: {error.str()}"
