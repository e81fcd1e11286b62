"""Proves that the test servers are real: each does once what the tests that use it rely on."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from pymilvus import DataType, MilvusClient  # type: ignore[import-untyped]

from overt.contracts.topics import SERVICES
from overt.runtime.kafka_admin import TopicSpec, create_topics

from .servers import kafka as kafka_server
from .servers.kafka import KafkaServer
from .servers.kafka_cluster import KafkaCluster
from .servers.milvus import MilvusServer
from .servers.postgres import PostgresServer
from .servers.process import LOOPBACK, ServerError, ServerProcess, free_ports, listens

pytestmark = pytest.mark.integration


def make_topic(kafka: KafkaServer, **config: str) -> str:
    name = f"servers-{uuid4().hex}"
    # Kept in a variable: a client that goes out of scope takes its unfinished requests with it.
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    settings = {key.replace("_", "."): value for key, value in config.items()}
    new = NewTopic(name, num_partitions=2, replication_factor=1, config=settings)
    admin.create_topics([new])[name].result(10)
    return name


@pytest.fixture
def topic(kafka: KafkaServer) -> str:
    return make_topic(kafka)


def produce(kafka: KafkaServer, topic: str, value: bytes) -> KafkaError | None:
    """Produce one message and return what the broker said of it."""
    said: list[KafkaError | None] = []
    # A topic may be unknown for a moment after it is made; these were made a moment ago or never.
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "topic.metadata.propagation.max.ms": 1000})
    producer.produce(topic, value, on_delivery=lambda error, _: said.append(error))
    assert producer.flush(10) == 0
    (error,) = said
    return error


def on_disk(kafka: KafkaServer, topic: str, value: bytes) -> bool:
    """Whether `value` stands in any file of the topic's partitions, those marked for deletion included."""
    for path in kafka.data_dir.glob(f"{topic}-*/*"):
        try:
            if value in path.read_bytes():
                return True
        except FileNotFoundError:  # deleted since it was listed
            continue
    return False


def test_a_produced_message_is_consumed(kafka: KafkaServer, topic: str) -> None:
    assert produce(kafka, topic, b"one") is None
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        assert message is not None
        assert (message.error(), message.value()) == (None, b"one")
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()


def test_a_topic_that_nobody_made_is_refused(kafka: KafkaServer) -> None:
    name = f"servers-{uuid4().hex}"
    error = produce(kafka, name, b"lost")
    assert error is not None
    assert error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    assert name not in admin.list_topics(timeout=10).topics


def test_kafka_keeps_its_segments_where_a_test_can_look(kafka: KafkaServer, topic: str) -> None:
    value = uuid4().bytes
    assert produce(kafka, topic, value) is None
    assert on_disk(kafka, topic, value)


def test_a_message_past_its_retention_is_deleted_within_seconds(kafka: KafkaServer) -> None:
    topic, value = make_topic(kafka, retention_ms="500", segment_ms="500"), uuid4().bytes
    assert produce(kafka, topic, value) is None
    assert on_disk(kafka, topic, value)
    # With Kafka's own defaults this takes minutes.
    kafka.process.wait_until(lambda: not on_disk(kafka, topic, value), timeout_s=30)


def test_a_broker_whose_port_was_taken_starts_on_another_and_ends_when_stopped(
    tools_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        answers = iter([[taken.getsockname()[1], free_ports(1)[0]], free_ports(2)])
        monkeypatch.setattr(kafka_server, "lasting_ports", lambda count: next(answers))
        with KafkaServer.start(tools_dir, tmp_path) as server:
            admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
            assert admin.list_topics(timeout=10).brokers
    assert not server.process.alive
    assert not listens(int(server.bootstrap.rpartition(":")[2]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["start-1", "start-2"]


def test_a_broker_that_can_not_start_shows_the_end_of_its_log(
    tools_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(kafka_server, "lasting_ports", lambda count: [port, free_ports(1)[0]])
        monkeypatch.setattr(kafka_server, "START_ATTEMPTS", 1)
        with pytest.raises(ServerError, match=rf"(?s)ended with code 1 .*kafka\.log.*\b{port}\b"):
            KafkaServer.start(tools_dir, tmp_path)


def test_a_collection_is_made_searched_and_dropped(milvus: MilvusServer) -> None:
    name = f"servers_{uuid4().hex}"
    client = MilvusClient(milvus.uri, timeout=10)
    try:
        schema = client.create_schema(auto_id=False)
        schema.add_field("entry", DataType.INT64, is_primary=True)
        schema.add_field("template", DataType.FLOAT_VECTOR, dim=8)
        index = client.prepare_index_params()
        index.add_index("template", index_type="FLAT", metric_type="COSINE")
        client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
        templates_ND = np.eye(8, dtype=np.float32)
        client.insert(name, [{"entry": n, "template": row} for n, row in enumerate(templates_ND)])
        (found,) = client.search(name, [templates_ND[3]], limit=1)
        assert [hit["entry"] for hit in found] == [3]
        client.drop_collection(name)
        assert name not in client.list_collections()
    finally:
        client.close()


def test_a_stopped_milvus_leaves_collections_that_the_next_one_finds(tmp_path: Path) -> None:
    for round_number in range(2):
        with MilvusServer.start(tmp_path) as server:
            client = MilvusClient(server.uri, timeout=10)
            try:
                if round_number == 0:
                    client.create_collection("kept", dimension=8)
                assert client.list_collections() == ["kept"]
            finally:
                client.close()
        assert not server.process.alive


def test_a_killed_node_comes_back_on_its_port_with_what_was_confirmed(
    tools_dir: Path, tmp_path: Path
) -> None:
    with KafkaCluster.start(tools_dir, tmp_path, secured=False) as cluster:
        bootstrap, first = cluster.bootstrap, cluster.process(1)
        create_topics(bootstrap, [TopicSpec("kept", 1)])
        producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
        producer.produce("kept", b"one")
        assert producer.flush(10) == 0
        cluster.kill(1)
        assert not listens(int(bootstrap.rpartition(":")[2]))
        cluster.restart(1)
        assert cluster.bootstrap == bootstrap
        assert cluster.process(1).pid != first.pid
        assert cluster.leader_of("kept", 0) == 1
        assert any(b"one" in path.read_bytes() for path in cluster.data_dirs[0].glob("kept-0/*.log"))
    assert not cluster.process(1).alive


def test_kafka_for_people_has_topics_logins_and_rules_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """What `make kafka` runs: another may not take its folder, and only its owner may read the logins."""
    command = [sys.executable, "-m", "tests.integration.servers.serve", "--folder", str(tmp_path / "kafka")]
    served = ServerProcess(command, log=tmp_path / "said")
    try:
        served.wait_until(lambda: "Ctrl-C" in served.log.read_text(), timeout_s=90)
        files = {path.stem: path for path in (tmp_path / "kafka" / "clients").iterdir()}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
        assert sorted(files) == sorted([*SERVICES, "operator"])
        told = dict(line.split("=", 1) for line in files["operator"].read_text().splitlines())
        assert told["OVERT_KAFKA_PASSWORD"] not in served.log.read_text()
        check = [sys.executable, "-m", "overt.cli", "topics", "check", "--acls"]
        done = subprocess.run(check, env=os.environ | told, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "as the table says: 15 topics, and who may use them\n")
        second = subprocess.run(command, check=False, capture_output=True, text=True)
        assert second.returncode == 2
        assert "end it, or give --folder" in second.stderr
    finally:
        code = served.stop(signal.SIGINT)
    assert code == 0
    assert not listens(int(told["OVERT_KAFKA_BOOTSTRAP"].rpartition(":")[2]))


def test_a_database_is_made_and_survives_the_servers_death(postgres: PostgresServer) -> None:
    name = postgres.database().rpartition("/")[2]
    with psycopg.connect(postgres.connection(name)) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    held = psycopg.connect(postgres.connection(name))
    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        held.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.connection(name))
    postgres.restart()
    with psycopg.connect(postgres.connection(name)) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]


def test_a_database_asks_for_the_password(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.connection("postgres"), password="another")


def test_a_stopped_database_server_leaves_no_file_and_no_process() -> None:
    with PostgresServer.start() as server:
        pid, home = server.pid, server.home
        held = psycopg.connect(server.connection("postgres"))  # it does not wait for clients
    held.close()
    assert not home.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert not listens(server.port)
