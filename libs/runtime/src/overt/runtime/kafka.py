"""The broker that is Apache Kafka, through confluent-kafka."""

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer as Client
from confluent_kafka import Producer as ProducerClient

from overt.runtime.kafka_admin import (
    REACH_TIMEOUT_S,
    TopicSpec,
    create_topics,
    require_topics,
    topics_of,
)
from overt.runtime.kafka_consumer import KafkaConsumer
from overt.runtime.kafka_errors import ClientErrors
from overt.runtime.kafka_producer import KafkaProducer
from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.kafka_table import KafkaTableReader

__all__ = ["KafkaBroker", "TopicSpec", "create_topics"]

Config = Mapping[str, str | int | bool]

MAX_MESSAGE_BYTES = 9_000_000

NETWORK: Config = {
    # A broker that comes back is found at once: the default waits up to 10 s between two tries.
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1_000,
    # A network that swallows packets is noticed after this long (default 60 s), and the connection made anew.
    "socket.timeout.ms": 10_000,
    "socket.keepalive.enable": True,
}

CONSUMER: Config = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "cooperative-sticky",
    "allow.auto.create.topics": False,
    # A member that died is missed after this long: its cameras are blind until then, and a commit with
    # Kafka away waits as long, which must be less than the time to drain. After a broker's own absence the
    # group waits as long for the members it remembers, who come back under new names. 6 s is the least that a
    # broker allows by default; heartbeats are sent by a thread of librdkafka, however busy this process is.
    "session.timeout.ms": 6_000,
    # A member that hangs loses its partitions after this long; until then a rebalance waits for it, and
    # with the rebalance every other member's commit. Far above the slowest batch: one handler's call, one
    # flush and one commit; while something is away the loop polls between them.
    "max.poll.interval.ms": 60_000,
    # A rebalance is heard of at a heartbeat.
    "heartbeat.interval.ms": 1_000,
    "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
    # What is read ahead of the loop; with large frames the default (64 MB) is seconds of old video.
    "queued.max.messages.kbytes": 32_000,
    # Don't back off for long when the read-ahead is full.
    "fetch.queue.backoff.ms": 10,
}

# The end of a table is told after one empty fetch, so that fetch must not be long.
TABLE: Config = {"enable.partition.eof": True, "fetch.wait.max.ms": 100}

PRODUCER: Config = {
    "enable.idempotence": True,
    "acks": "all",
    # One at a time to each broker. With more, a batch that a broker refuses because it does not lead the
    # partition yet is overtaken by the next one; sent again it is answered as a duplicate, and counts as
    # confirmed although it stands nowhere (benchmarks/overtaking.py).
    "max.in.flight.requests.per.connection": 1,
    "partitioner": "murmur2_random",  # Java's, and Faust's: equal keys meet in equal partitions
    "message.max.bytes": MAX_MESSAGE_BYTES,
    # A broker may be away for as long as the loop waits for it (LoopLimits.give_up_s) and longer: until then
    # nothing is given up, so nothing need be produced, nor handled, twice. Whoever would rather lose says so.
    "message.timeout.ms": 600_000,
    "request.timeout.ms": 10_000,
    "linger.ms": 1,
    # The bound that makes `produce` wait; the default is 1 GB.
    "queue.buffering.max.kbytes": 64_000,
    "queue.buffering.max.messages": 10_000,
}


class KafkaBroker:
    """Makes consumers, producers and table readers on the cluster at `bootstrap`."""

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str,
        login: KafkaLogin | None = None,
        instance_id: str | None = None,
        config: Config | None = None,
    ) -> None:
        """Take down where Kafka is; nothing is connected yet.

        Without a `login` the connection is plain. With an `instance_id` consumers are static members
        (KIP-345): closing one does not leave the group, and whoever comes back under the same id within the
        session timeout goes on with the same partitions. `config` holds librdkafka settings that stand above
        the defaults here (`acks`, the size of the send queue); a client passes over those that are not its
        kind's. `acks` other than `all` switches idempotence off, as Kafka asks.
        """
        self._bootstrap = bootstrap
        self._common = {"bootstrap.servers": bootstrap, "client.id": client_id, "log_level": 0}
        self._login = {} if login is None else login.client_config()
        self._own_group = client_id if login is None else login.username
        self._instance_id = instance_id
        self._config = dict(config or {})
        if str(self._config.get("acks", "all")) not in ("all", "-1"):
            self._config.setdefault("enable.idempotence", False)

    def consumer(self, group: str, topics: Sequence[str]) -> KafkaConsumer:
        """See Broker. Raises BrokerError for a topic that does not exist or a cluster out of reach."""
        member = {"group.id": group}
        if self._instance_id is not None:
            member["group.instance.id"] = f"{self._instance_id}.{group}"

        def connect(errors: ClientErrors) -> Client:
            client = Client({**self._client(CONSUMER, errors), **member})
            require_topics(client, self._bootstrap, topics)
            return client

        return KafkaConsumer(connect, group, topics)

    def producer(self) -> KafkaProducer:
        """See Broker. Raises BrokerError when the cluster is out of reach.

        The metadata request is the warm-up: it connects, and with a connection there is a producer id in
        some milliseconds. Without it the first record waits 0.5 to 1 s for librdkafka's next try.
        """
        errors = ClientErrors()
        client = ProducerClient(self._client(PRODUCER, errors))
        topics = topics_of(client, self._bootstrap)
        return KafkaProducer(client, self._bootstrap, frozenset(topics), errors)

    def table(self, topic: str) -> KafkaTableReader:
        """See Broker: what is there now has been read when this returns, so the first poll returns it.

        Raises BrokerError for a topic that does not exist, and when it can't be read to its end in time.
        """
        errors = ClientErrors()
        # A group id is asked for, but no group is joined: the partitions are assigned by hand. librdkafka
        # looks for the group's coordinator all the same, so it is one that the user may ask for.
        client = Client({**self._client({**CONSUMER, **TABLE}, errors), "group.id": self._own_group})
        found = require_topics(client, self._bootstrap, [topic])
        return KafkaTableReader(
            client, topic, range(found[topic].partitions), errors, timeout_s=REACH_TIMEOUT_S
        )

    def _client(self, defaults: Config, errors: ClientErrors) -> dict[str, object]:
        return {
            **self._common,
            **NETWORK,
            **defaults,
            **self._login,
            **self._config,
            "error_cb": errors.report,
        }
