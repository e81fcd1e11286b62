"""Each service, with its own login at a real Kafka, does what it must and is refused everything else."""

import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from overt.contracts.access import OPERATOR, access_of
from overt.contracts.topic_specs import topic_specs
from overt.contracts.topics import SERVICES
from overt.runtime.broker import AccessRefused, BrokerError, LoginRefused
from overt.runtime.kafka import KafkaBroker
from overt.runtime.kafka_access import require_access
from overt.runtime.kafka_acls import Acl
from overt.runtime.kafka_admin import ClusterAdmin, TopicSpec, create_topics, topics_of
from overt.runtime.kafka_security import KafkaLogin

from .servers.kafka import KafkaServer
from .servers.kafka_cluster import KafkaCluster

pytestmark = pytest.mark.integration

PATIENCE_S = 60.0
TOPICS = frozenset(spec.name for spec in topic_specs())

# Written out, not computed from the table: who changes the table has to agree here.
MAY_WRITE: Mapping[str, AbstractSet[str]] = {
    "ingest": {"frames.v1"},
    "detect": {"faces.v1", "frames.v1.dead"},
    "embed": {"templates.v1", "faces.v1.dead"},
    "match": {"matches.v1", "templates.v1.dead"},
    "alerts": {"alerts.v1", "audit.v1", "matches.v1.dead", "alert-windows.v1"},
    "control": {"deployments.v1"},
}
MAY_READ: Mapping[str, AbstractSet[str]] = {
    "ingest": {"deployments.v1"},
    "detect": {"deployments.v1", "frames.v1"},
    "embed": {"deployments.v1", "faces.v1"},
    "match": {"deployments.v1", "templates.v1"},
    "alerts": {"deployments.v1", "matches.v1", "alert-windows.v1"},
    "control": set(),
}
SOURCES: Mapping[str, str] = {
    "detect": "frames.v1",
    "embed": "faces.v1",
    "match": "templates.v1",
    "alerts": "matches.v1",
}


def login_of(cluster: KafkaCluster, user: str) -> KafkaLogin:
    login = cluster.login(user)
    assert login is not None
    return login


def client_config(
    cluster: KafkaCluster, user: str, **more: str | int | bool
) -> dict[str, str | int | float | bool]:
    settings = {name.replace("_", "."): value for name, value in more.items()}
    login = login_of(cluster, user).client_config()
    return {"bootstrap.servers": cluster.bootstrap, "log_level": 0, **login, **settings}


def written_by(cluster: KafkaCluster, user: str) -> set[str]:
    """Try to write a record to every topic; return those that took it, after checking why others did not."""
    outcome: dict[str, KafkaError | None] = {}
    producer = Producer(client_config(cluster, user, enable_idempotence=True, message_timeout_ms=20_000))
    for topic in TOPICS:
        # A compacted topic wants a key.
        producer.produce(
            topic, b"x", b"key", on_delivery=lambda error, m: outcome.update({str(m.topic()): error})
        )
    assert producer.flush(PATIENCE_S) == 0
    refusals = {error.code() for error in outcome.values() if error is not None}
    assert refusals <= {KafkaError.TOPIC_AUTHORIZATION_FAILED}
    assert outcome.keys() == TOPICS
    return {topic for topic, error in outcome.items() if error is None}


def read_by(cluster: KafkaCluster, user: str) -> set[str]:
    """Try to read a partition of every topic; return those that gave their records or their end."""
    config = client_config(cluster, user, group_id=user, enable_partition_eof=True, enable_auto_commit=False)
    consumer = Consumer(config)
    try:
        # Of a topic it may not even see a client is told nothing but this; of others a fetch has to tell.
        outcome = {topic: metadata_error(consumer, topic) for topic in TOPICS}
        asked = {topic for topic, code in outcome.items() if code is None}
        consumer.assign([TopicPartition(topic, 0, 0) for topic in asked])
        deadline_s = time.monotonic() + PATIENCE_S
        while asked:
            assert time.monotonic() < deadline_s, asked
            message = consumer.poll(0.5)
            if message is not None and (topic := message.topic()) in asked:
                error = message.error()
                at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
                outcome[topic] = None if error is None or at_end else error.code()
                asked.discard(topic)
    finally:
        consumer.close()
    assert set(outcome.values()) <= {None, KafkaError.TOPIC_AUTHORIZATION_FAILED}
    return {topic for topic, code in outcome.items() if code is None}


def metadata_error(consumer: Consumer, topic: str) -> int | None:
    error = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].error
    return None if error is None else int(error.code())


def commits(cluster: KafkaCluster, user: str, group: str) -> bool:
    """Whether `user` may commit an offset in `group`, on a topic that every service but control may read."""
    admin = AdminClient(client_config(cluster, user))
    offsets = ConsumerGroupTopicPartitions(group, [TopicPartition("deployments.v1", 0, 0)])
    future = admin.alter_consumer_group_offsets([offsets], request_timeout=PATIENCE_S)[group]
    error = future.exception(PATIENCE_S)
    if error is None:
        return all(each.error is None for each in future.result().topic_partitions)
    assert isinstance(error, KafkaException)
    assert error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    return False


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_writes_to_its_topics_and_to_no_other(secured_kafka: KafkaCluster, service: str) -> None:
    assert written_by(secured_kafka, service) == MAY_WRITE[service]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_its_topics_and_no_other(secured_kafka: KafkaCluster, service: str) -> None:
    assert read_by(secured_kafka, service) == MAY_READ[service]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sees_no_topic_that_it_has_no_business_with(
    secured_kafka: KafkaCluster, service: str
) -> None:
    admin = ClusterAdmin(secured_kafka.bootstrap, login_of(secured_kafka, service))
    seen = topics_of(admin, secured_kafka.bootstrap)
    assert set(seen) == MAY_WRITE[service] | MAY_READ[service]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_commits_in_its_own_group_alone(secured_kafka: KafkaCluster, service: str) -> None:
    groups = {group for group in (*SERVICES, "another") if commits(secured_kafka, service, group)}
    assert groups == ({service} if MAY_READ[service] else set())


@pytest.mark.parametrize("service", SOURCES)
def test_a_service_does_its_work_with_its_own_login(secured_kafka: KafkaCluster, service: str) -> None:
    """As the loop does it: a member of the group reads its source, produces, commits; the table beside it."""
    login = login_of(secured_kafka, service)
    broker = KafkaBroker(secured_kafka.bootstrap, client_id=service, login=login)
    operator = KafkaBroker(
        secured_kafka.bootstrap, client_id=OPERATOR, login=login_of(secured_kafka, OPERATOR)
    )
    table = broker.table("deployments.v1")
    source, value = operator.producer(), f"for {service}".encode()
    source.produce(SOURCES[service], b"camera", value)
    source.flush(PATIENCE_S)
    consumer, producer = broker.consumer(service, [SOURCES[service]]), broker.producer()
    deadline_s, values = time.monotonic() + PATIENCE_S, set[bytes | None]()
    while value not in values and time.monotonic() < deadline_s:
        values |= {record.value for record in consumer.poll(10, 0.5)}
    assert value in values
    for topic in MAY_WRITE[service]:
        producer.produce(topic, b"camera", b"out")
    producer.flush(PATIENCE_S)
    consumer.commit()
    for each in (table, consumer, producer, source):
        each.close()


def test_ingest_and_control_do_their_work_with_their_own_logins(secured_kafka: KafkaCluster) -> None:
    """control writes orders, ingest, which is in no group, reads them as a table and writes frames."""
    brokers = [
        KafkaBroker(secured_kafka.bootstrap, client_id=user, login=login_of(secured_kafka, user))
        for user in ("control", "ingest")
    ]
    control, ingest = (broker.producer() for broker in brokers)
    control.produce("deployments.v1", b"deployment", b"order")
    control.flush(PATIENCE_S)
    table = brokers[1].table("deployments.v1")
    assert b"order" in {record.value for record in table.poll()}
    ingest.produce("frames.v1", b"camera", b"frame")
    ingest.flush(PATIENCE_S)
    for each in (table, control, ingest):
        each.close()


def test_a_service_makes_no_topic(secured_kafka: KafkaCluster) -> None:
    with pytest.raises(BrokerError, match="own-idea"):
        create_topics(
            secured_kafka.bootstrap, [TopicSpec("own-idea", 1)], login=login_of(secured_kafka, "alerts")
        )


@pytest.mark.parametrize("service", SERVICES)
def test_before_it_begins_a_service_is_told_what_its_login_may_not_do(
    secured_kafka: KafkaCluster, service: str
) -> None:
    wanted = access_of(service)
    for user in (*SERVICES, OPERATOR):
        require = partial(require_access, secured_kafka.bootstrap, login_of(secured_kafka, user), wanted)
        if user in (service, OPERATOR):
            require()
            continue
        with pytest.raises(AccessRefused) as raised:
            require()
        said = str(raised.value)
        assert f"user {user} may not " in said
        for verb, mine, theirs in (
            ("write", MAY_WRITE[service], MAY_WRITE[user]),
            ("read", MAY_READ[service], MAY_READ[user]),
        ):
            named = {topic for topic in TOPICS if f"{verb} topic {topic}," in f"{said},"}
            assert named == mine - theirs
        assert (f"read group {service}" in said) == bool(MAY_READ[service])


def test_a_topic_that_is_not_there_is_no_matter_of_access(secured_kafka: KafkaCluster) -> None:
    wanted = [Acl(OPERATOR, "topic", "never-made.v1", "write")]
    with pytest.raises(BrokerError, match=r"has no topic never-made\.v1"):
        require_access(secured_kafka.bootstrap, login_of(secured_kafka, OPERATOR), wanted)


def test_a_cluster_without_access_rules_lets_everybody(kafka: KafkaServer) -> None:
    create_topics(kafka.bootstrap, topic_specs())
    for service in SERVICES:
        require_access(kafka.bootstrap, None, access_of(service))


def refused(cluster: KafkaCluster, login: KafkaLogin | None) -> str:
    with pytest.raises(BrokerError) as raised:
        topics_of(ClusterAdmin(cluster.bootstrap, login), cluster.bootstrap, 3)
    return str(raised.value)


def test_a_wrong_password_and_an_unknown_user_are_refused_with_a_reason(secured_kafka: KafkaCluster) -> None:
    for user in ("detect", "nobody-we-know"):
        secret = "a-password-that-is-not-the-one"
        login = KafkaLogin(user, SecretStr(secret), secured_kafka.ca_file)
        with pytest.raises(LoginRefused) as raised:
            topics_of(ClusterAdmin(secured_kafka.bootstrap, login), secured_kafka.bootstrap)
        assert f"refused the login of user {user} (" in str(raised.value)
        assert secret not in str(raised.value)


def test_a_connection_without_encryption_is_refused(secured_kafka: KafkaCluster) -> None:
    assert "cannot reach Kafka" in refused(secured_kafka, None)


def test_a_client_sends_no_password_to_a_broker_whose_certificate_it_can_not_check(
    secured_kafka: KafkaCluster,
) -> None:
    login = login_of(secured_kafka, "detect")
    assert "certificate" in refused(secured_kafka, KafkaLogin(login.username, login.password))
