"""Sends records to Kafka: waits while its queue is full, and forgets no record that was not confirmed."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from overt.runtime.broker import BrokerError, Unconfirmed, Undelivered
from overt.runtime.kafka_admin import require_topics
from overt.runtime.kafka_errors import ClientErrors

# How long one wait for room in the send queue lasts before the queue is tried again.
ROOM_WAIT_S = 0.05
CLOSE_TIMEOUT_S = 10.0


DeliveryCallback = Callable[[KafkaError | None, Message], None]


@dataclass(slots=True)
class _Failures:
    first: str
    count: int = 0


class KafkaProducer:
    """See Producer.

    Failures are kept by the thread that handed the record over, and told to that thread once: threads may
    share a producer, and none takes another's loss for its own, nor clears it.
    """

    def __init__(self, client: Client, bootstrap: str, topics: frozenset[str], errors: ClientErrors) -> None:
        self._client = client
        self._bootstrap = bootstrap
        self._topics = topics
        self._errors = errors
        self._lock = threading.Lock()
        self._failures: dict[int, _Failures] = {}

    def produce(self, topic: str, key: bytes, value: bytes | None) -> None:
        """See Producer. Raises BrokerError for a topic that does not exist or a record that is too large."""
        if topic not in self._topics:
            self._topics |= require_topics(self._client, self._bootstrap, [topic]).keys()
        on_delivery = self._on_delivery(threading.get_ident())
        while True:
            self._errors.check()
            try:
                self._client.produce(topic, value, key, on_delivery=on_delivery)
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
            failures = self._failures.pop(threading.get_ident(), None)
        if failures is not None:
            raise Undelivered(
                f"{failures.count} records were not delivered, the first because: {failures.first}"
            )
        if waiting:
            raise Unconfirmed(f"{waiting} records were not confirmed within {timeout_s:g} s")

    def close(self) -> None:
        """See Producer. Raises Undelivered, also for what other threads handed over and never asked after."""
        try:
            self.flush(CLOSE_TIMEOUT_S)
            with self._lock:
                untold = sum(failures.count for failures in self._failures.values())
            if untold:
                raise Undelivered(f"{untold} records were not delivered")
        finally:
            self._client.close()

    def _on_delivery(self, thread: int) -> DeliveryCallback:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                return
            with self._lock:
                failures = self._failures.setdefault(thread, _Failures(f"{message.topic()}: {error.str()}"))
                failures.count += 1

        return delivered
