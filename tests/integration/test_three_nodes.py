"""A cluster of three nodes goes on without any one of them, loses nothing that was confirmed, and heals."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from overt.runtime.broker import BrokerError
from overt.runtime.kafka import KafkaBroker, TopicSpec, create_topics
from overt.runtime.kafka_consumer import KafkaConsumer
from overt.runtime.kafka_producer import KafkaProducer
from overt.runtime.kafka_topics import node_count, replicated

from .servers.kafka_cluster import KafkaCluster

pytestmark = pytest.mark.integration

PATIENCE_S = 150.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, tools_dir: Path) -> Iterator[KafkaCluster]:
    with KafkaCluster.start(tools_dir, tmp_path_factory.mktemp("three-nodes"), nodes=3) as own:
        yield own


@pytest.fixture
def topic(cluster: KafkaCluster) -> str:
    name = f"three-{uuid4().hex[:12]}"
    specs = replicated([TopicSpec(name, 1)], node_count(cluster.admin(), cluster.bootstrap))
    create_topics(cluster.bootstrap, specs, login=cluster.login("operator"))
    cluster.wait_in_sync([name])
    return name


@pytest.fixture
def broker(cluster: KafkaCluster) -> KafkaBroker:
    return KafkaBroker(cluster.bootstrap, client_id="three", login=cluster.login("operator"))


def send(producer: KafkaProducer, topic: str, numbers: range) -> None:
    for number in numbers:
        producer.produce(topic, b"key", str(number).encode())
    producer.flush(PATIENCE_S)


def read(consumer: KafkaConsumer, count: int) -> list[int]:
    """Read and commit until `count` records are there."""
    numbers: list[int] = []
    deadline_s = monotonic() + PATIENCE_S
    while len(numbers) < count and monotonic() < deadline_s:
        numbers += [int(record.value or b"") for record in consumer.poll(count, 0.5)]
    consumer.commit()
    return numbers


def test_records_go_on_in_order_when_the_leader_is_killed_and_it_comes_back_in_sync(
    cluster: KafkaCluster, broker: KafkaBroker, topic: str
) -> None:
    producer, consumer = broker.producer(), broker.consumer(topic, [topic])
    send(producer, topic, range(100))
    assert read(consumer, 100) == list(range(100))
    leader = cluster.leader_of(topic, 0)
    cluster.kill(leader)
    send(producer, topic, range(100, 200))
    assert read(consumer, 100) == list(range(100, 200))
    assert cluster.leader_of(topic, 0) != leader
    cluster.restart(leader)
    cluster.wait_in_sync([topic])
    send(producer, topic, range(200, 300))
    assert read(consumer, 100) == list(range(200, 300))
    producer.close()
    consumer.close()


def test_every_node_in_turn_is_restarted_without_a_record_lost(
    cluster: KafkaCluster, broker: KafkaBroker, topic: str
) -> None:
    """As a rolling upgrade does it; whoever reads from the beginning afterwards finds all."""
    producer = broker.producer()
    for number in (1, 2, 3):
        send(producer, topic, range(10 * number, 10 * number + 10))
        cluster.restart(number)
        cluster.wait_in_sync([topic])
    producer.close()
    consumer = broker.consumer(topic, [topic])
    assert read(consumer, 30) == list(range(10, 40))
    consumer.close()


def test_four_copies_on_three_nodes_are_refused(cluster: KafkaCluster) -> None:
    nodes = node_count(cluster.admin(), cluster.bootstrap)
    assert nodes == 3
    with pytest.raises(BrokerError, match="4 copies"):
        replicated([], nodes, 4)
