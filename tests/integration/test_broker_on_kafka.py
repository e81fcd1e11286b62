"""The broker contract over a real Apache Kafka, and what only Kafka can show."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from structlog.testing import capture_logs

from libs.runtime.tests.broker_contract import (
    KEYS,
    PARTITIONS,
    PATIENCE_S,
    BrokerContract,
    Reading,
    World,
    numbered,
    read,
    until,
    values,
)
from overt.contracts.topic_specs import topic_specs
from overt.runtime import kafka_admin
from overt.runtime.broker import BrokerError, CommitRefused, Record, Undelivered
from overt.runtime.kafka import KafkaBroker, TopicSpec, create_topics
from overt.runtime.kafka_consumer import KafkaConsumer

from .servers.kafka import KafkaServer

pytestmark = pytest.mark.integration

# Members hear of a rebalance at a heartbeat: tests should not wait three seconds for each.
QUICK = {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 100}
FRESH_TOPICS, FRESH_KEYS = 12, 6
LARGE = {"max.message.bytes": "9000000"}


def world_on_kafka(kafka: KafkaServer, **config: str | int | bool) -> World:
    name = f"test-{uuid4().hex[:12]}"
    broker = KafkaBroker(kafka.bootstrap, client_id="test", config={**QUICK, **config})
    world = World(broker, f"{name}.v1", f"{name}.table", name)
    specs = [
        TopicSpec(world.events, PARTITIONS, LARGE),
        TopicSpec(world.dead, PARTITIONS, LARGE),
        TopicSpec(world.table, 1, {"cleanup.policy": "compact"}),
    ]
    create_topics(kafka.bootstrap, specs)
    return world


@pytest.fixture
def world(kafka: KafkaServer) -> World:
    return world_on_kafka(kafka)


class TestContract(BrokerContract):
    pass


def test_a_member_that_was_away_too_long_may_not_commit_and_finds_back(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka, **{"max.poll.interval.ms": 6_000})
    world.send(*((key, b"x") for key in KEYS))
    with world.member() as sleeper:
        read(sleeper, len(KEYS))
        with world.member() as awake, Reading(awake) as other:
            until(lambda: other.keys_of(b"x") == set(KEYS))
            with pytest.raises(CommitRefused):
                sleeper.commit()
        world.send((b"camera-1", b"later"))
        assert values(read(sleeper, 1)) == [b"later"]


def test_an_instance_that_comes_back_under_its_name_goes_on_without_a_rebalance(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka)

    def instance(name: str) -> KafkaConsumer:
        broker = KafkaBroker(kafka.bootstrap, client_id="test", instance_id=name, config=QUICK)
        return broker.consumer(world.group, [world.events])

    first = instance("first")
    with closing(instance("second")) as other, Reading(other) as second:
        numbers = iter(range(1_000_000))

        def both_read() -> bool:
            value = str(next(numbers)).encode()
            world.send(*((key, value) for key in KEYS))
            return bool([first.poll(100, 0.1), first.joined() and second.keys_of(value)][1])

        until(both_read)
        until(lambda: not first.poll(100, 0.1))
        with suppress(CommitRefused):
            first.commit()
        mine = {at.partition for at in first._client.assignment()}
        first.close()
        before = set(second.places())
        with closing(instance("first")) as again:
            until(lambda: [again.poll(100, 0.1), again.joined()][1])
            assert {at.partition for at in again._client.assignment()} == mine
        assert not mine & {partition for partition, _ in second.places() - before}


def test_a_member_that_is_fenced_once_joins_anew_and_what_was_not_committed_comes_again(
    kafka: KafkaServer,
) -> None:
    world = world_on_kafka(kafka)
    broker = KafkaBroker(kafka.bootstrap, client_id="test", instance_id="one", config=QUICK)
    world.send(*numbered(10))
    with closing(broker.consumer(world.group, [world.events])) as member:
        batch = read(member, 10)
        with closing(broker.consumer(world.group, [world.events])) as stranger:
            until(lambda: [stranger.poll(100, 0.1), stranger.joined()][1])
        with pytest.raises(CommitRefused):
            member.commit()
        assert set(values(read(member, 10))) == set(values(batch))
        member.commit()


def test_two_processes_of_one_name_do_not_fence_each_other_for_ever(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka)
    broker = KafkaBroker(kafka.bootstrap, client_id="test", instance_id="one", config=QUICK)
    with (
        closing(broker.consumer(world.group, [world.events])) as first,
        closing(broker.consumer(world.group, [world.events])) as second,
    ):

        def both_poll() -> bool:
            return any([first.poll(100, 0.1), second.poll(100, 0.1)])

        with pytest.raises(BrokerError, match="OVERT_KAFKA_INSTANCE_ID"):
            until(both_poll)


def test_what_is_confirmed_right_after_its_topic_appeared_is_there(kafka: KafkaServer) -> None:
    # A broker may refuse the first batch of a new partition; the second must not overtake it.
    broker = KafkaBroker(kafka.bootstrap, client_id="test")
    for _ in range(FRESH_TOPICS):
        name = f"test-{uuid4().hex[:12]}"
        create_topics(kafka.bootstrap, [TopicSpec(f"{name}.{number}", PARTITIONS, {}) for number in range(7)])
        with closing(broker.producer()) as producer:
            for number, (_, value) in enumerate(numbered(150)):
                producer.produce(f"{name}.0", f"key-{number % FRESH_KEYS}".encode(), value + bytes(36_000))
                time.sleep(0.002)
            producer.flush(PATIENCE_S)
        with closing(broker.table(f"{name}.0")) as reader:
            found = list(reader.poll())
            while not reader.caught_up():
                found += reader.poll()
            assert len(found + list(reader.poll())) == 150


def test_a_full_send_queue_makes_the_producer_wait_and_loses_nothing(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka, **{"queue.buffering.max.messages": 3})
    world.send(*numbered(200))
    with world.member() as consumer:
        assert values(read(consumer, 200)) == [value for _, value in numbered(200)]


@pytest.fixture
def narrow(kafka: KafkaServer, world: World) -> str:
    """Return a topic whose broker refuses records above 1,000 bytes."""
    name = f"{world.group}.narrow"
    create_topics(kafka.bootstrap, [TopicSpec(name, 1, {"max.message.bytes": "1000"})])
    return name


def test_a_record_the_broker_refuses_fails_the_flush_once_and_what_comes_after_is_sent(
    world: World, narrow: str
) -> None:
    with closing(world.broker.producer()) as producer:
        producer.produce(narrow, b"key", bytes(5_000))
        with pytest.raises(Undelivered, match="1 records were not delivered"):
            producer.flush(PATIENCE_S)
        producer.produce(narrow, b"key", b"small")
        producer.flush(PATIENCE_S)
    with world.member(topic=narrow) as consumer:
        assert values(read(consumer, 1)) == [b"small"]


def test_a_loss_is_told_to_the_thread_whose_record_it_was_and_to_whoever_closes(
    world: World, narrow: str
) -> None:
    producer = world.broker.producer()
    other = threading.Thread(target=lambda: producer.produce(narrow, b"key", bytes(5_000)))
    other.start()
    other.join()
    producer.produce(world.events, b"key", b"mine")
    producer.flush(PATIENCE_S)
    with pytest.raises(Undelivered):
        producer.close()


def test_a_record_larger_than_any_topic_is_refused_at_once(world: World) -> None:
    with closing(world.broker.producer()) as producer, pytest.raises(BrokerError, match="too large"):
        producer.produce(world.events, b"key", bytes(9_500_000))


def test_a_producer_that_asks_one_broker_only_gives_up_idempotence(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka, acks=1)
    world.send(*numbered(3))
    with world.member() as consumer:
        assert len(read(consumer, 3)) == 3


def test_a_topic_made_after_the_producer_is_found(kafka: KafkaServer, world: World) -> None:
    with closing(world.broker.producer()) as producer:
        late = f"{world.group}.late"
        create_topics(kafka.bootstrap, [TopicSpec(late, 1)])
        producer.produce(late, b"key", b"value")
        producer.flush(PATIENCE_S)


def test_a_table_is_read_whole_before_it_is_handed_over(world: World) -> None:
    pairs = [(f"key-{number}".encode(), bytes(1_000)) for number in range(3_000)]
    world.send(*pairs, topic=world.table)
    with closing(world.broker.table(world.table)) as table:
        assert {record.key for record in table.poll()} == {key for key, _ in pairs}
        assert table.caught_up()


def let_expire(kafka: KafkaServer, record: Record, before: int) -> None:
    """Do as retention does: take from the partition of `record` what lies before an offset."""
    with AdminClient({"bootstrap.servers": kafka.bootstrap}) as admin:
        place = TopicPartition(record.topic, record.partition, before)
        admin.delete_records([place])[place].result(PATIENCE_S)


def test_records_that_aged_out_while_nobody_read_are_counted_and_said(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka)
    world.send(*numbered(2))
    with world.member() as consumer:
        first = read(consumer, 2)[0]
        consumer.commit()
    world.send(*numbered(5))
    let_expire(kafka, first, before=6)
    with world.member() as consumer, capture_logs() as lines:
        assert [record.offset for record in read(consumer, 1)] == [6]
        assert consumer.expired() == {world.events: 4}
    (said,) = [line for line in lines if line["event"] == "records aged out before they were read"]
    assert (said["topic"], said["partition"], said["records"]) == (world.events, first.partition, 4)


def test_records_that_age_out_while_a_member_waits_are_counted(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka)
    world.send(*numbered(2))
    with world.member() as consumer:
        first = read(consumer, 2)[0]
        consumer.commit()
        consumer.pause()
        world.send(*numbered(5))
        let_expire(kafka, first, before=6)
        consumer.resume()
        assert [record.offset for record in read(consumer, 1)] == [6]
        assert consumer.expired() == {world.events: 4}


def test_a_group_that_has_read_everything_or_nothing_yet_has_missed_nothing(kafka: KafkaServer) -> None:
    world = world_on_kafka(kafka)
    world.send(*numbered(5))
    with world.member() as consumer:
        first = read(consumer, 5)[0]
        consumer.commit()
    let_expire(kafka, first, before=5)
    world.send(*numbered(1))
    for group in ("", "-new"):
        with world.member(group) as consumer:
            assert [record.offset for record in read(consumer, 1)] == [5]
            assert consumer.expired() == {}


def test_a_cluster_out_of_reach_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    nobody = KafkaBroker("127.0.0.1:1", client_id="test")
    monkeypatch.setattr(kafka_admin.topics_of, "__defaults__", (0.2,))
    for use in (nobody.producer, lambda: nobody.consumer("g", ["t"]), lambda: nobody.table("t")):
        with pytest.raises(BrokerError, match=r"^cannot reach Kafka at 127\.0\.0\.1:1 within 0\.2 s"):
            use()
    assert capfd.readouterr().err == ""


def test_a_broker_that_dies_fails_the_flush_and_the_commit(tools_dir: Path, tmp_path: Path) -> None:
    with KafkaServer.start(tools_dir, tmp_path) as mortal:
        world = world_on_kafka(mortal, **{"message.timeout.ms": 2_000})
        producer = world.broker.producer()
        consumer = world.broker.consumer(world.group, [world.events])
        world.send(*numbered(1))
        read(consumer, 1)
    producer.produce(world.events, b"key", b"lost")
    with pytest.raises(Undelivered):
        producer.flush(PATIENCE_S)
    with pytest.raises(BrokerError):
        consumer.commit()
    consumer.close()


class TestCreateTopics:
    def test_it_makes_what_is_missing_and_nothing_twice(self, kafka: KafkaServer) -> None:
        first, second = (TopicSpec(f"made-{uuid4().hex[:12]}", 2) for _ in range(2))
        assert create_topics(kafka.bootstrap, [first]) == [first.name]
        assert create_topics(kafka.bootstrap, [first, second]) == [second.name]
        assert create_topics(kafka.bootstrap, [first, second]) == []

    def test_two_who_make_the_same_topics_at_once_both_succeed(self, kafka: KafkaServer) -> None:
        specs = [TopicSpec(f"made-{uuid4().hex[:12]}", 1) for _ in range(5)]
        errors: list[BrokerError] = []

        def make() -> None:
            try:
                create_topics(kafka.bootstrap, specs)
            except BrokerError as error:
                errors.append(error)

        threads = [threading.Thread(target=make) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []

    def test_a_setting_kafka_does_not_know_is_refused_by_topic(self, kafka: KafkaServer) -> None:
        name = f"made-{uuid4().hex[:12]}"
        with pytest.raises(BrokerError, match=name):
            create_topics(kafka.bootstrap, [TopicSpec(name, 1, {"no.such.setting": "1"})])

    @pytest.fixture
    def admin(self, kafka: KafkaServer) -> Iterator[AdminClient]:
        with AdminClient({"bootstrap.servers": kafka.bootstrap}) as client:
            yield client

    def test_kafka_takes_every_topic_of_the_table_with_its_settings(
        self, kafka: KafkaServer, admin: AdminClient
    ) -> None:
        specs = topic_specs()
        create_topics(kafka.bootstrap, specs)
        there = kafka_admin.topics_of(admin, kafka.bootstrap)
        for spec in specs:
            assert there[spec.name].partitions == spec.partitions
            resource = ConfigResource(ConfigResource.Type.TOPIC, spec.name)
            found = admin.describe_configs([resource])[resource].result(PATIENCE_S)
            assert {name: found[name].value for name in spec.config} == dict(spec.config)
