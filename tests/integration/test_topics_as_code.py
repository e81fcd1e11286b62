"""`overt topics` on a real Kafka: it makes, alters and compares, and what it can't mend it names."""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourcePatternType,
    ResourceType,
)

from overt.cli import __main__ as command
from overt.cli import progress
from overt.contracts.access import OPERATOR, access
from overt.contracts.topic_specs import topic_specs
from overt.runtime import kafka_admin
from overt.runtime.kafka_acls import acls_there
from overt.runtime.kafka_admin import create_topics

from .servers.kafka_cluster import KafkaCluster
from .servers.process import LOOPBACK, lasting_ports

pytestmark = pytest.mark.integration

PATIENCE_S = 60.0
TOPICS = [spec.name for spec in topic_specs()]
EQUAL, DRIFTED, OUT_OF_REACH = 0, 1, 2

Overt = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def cluster(
    secured_kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory, tools_dir: Path
) -> Iterator[KafkaCluster]:
    """A node of this module's own, without a topic at first."""
    with KafkaCluster.start(tools_dir, tmp_path_factory.mktemp("topics-as-code")) as own:
        yield own


@pytest.fixture
def overt(cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Overt:
    """Return what runs `overt topics …` as the operator: its exit code, and the lines it said."""
    login = cluster.login(OPERATOR)
    assert login is not None
    secret = tmp_path / "password"
    secret.write_text(login.password.get_secret_value() + "\n")
    who = ["--username", OPERATOR, "--password-file", str(secret), "--ca-file", str(login.ca_file)]
    # It would stay after the test.
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(verb: str, *options: str, kafka: str = cluster.bootstrap) -> tuple[int, list[str]]:
        said = io.StringIO()
        monkeypatch.setattr(progress.console, "file", said)
        monkeypatch.setattr(sys, "argv", ["overt", "topics", verb, "--kafka", kafka, *who, *options])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return int(ended.value.code or 0), said.getvalue().splitlines()

    return run


@pytest.fixture
def applied(overt: Overt) -> Overt:
    overt("apply", "--acls", "--prune")
    assert overt("check", "--acls")[0] == EQUAL
    return overt


def set_config(cluster: KafkaCluster, topic: str, **config: str) -> None:
    admin = cluster.admin()
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    for name, value in config.items():
        resource.add_incremental_config(
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        )
    admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)


def configs(cluster: KafkaCluster, topic: str) -> dict[str, str | None]:
    admin, resource = cluster.admin(), ConfigResource(ConfigResource.Type.TOPIC, topic)
    entries = admin.describe_configs([resource])[resource].result(PATIENCE_S)
    return {name: entry.value for name, entry in entries.items()}


def until(said: Callable[[], tuple[int, Sequence[str]]], wanted: tuple[int, Sequence[str]]) -> None:
    """Compare once the node shows what its controller confirmed."""
    for _ in range(50):
        found = said()
        if found == wanted:
            return
    assert found == wanted


def test_an_empty_cluster_lacks_everything_and_gets_it_once(overt: Overt, cluster: KafkaCluster) -> None:
    """First in the module: on the empty node."""
    code, lines = overt("check", "--acls")
    assert code == DRIFTED
    assert lines == [
        *(f"differs: {name}: is missing" for name in TOPICS),
        *(f"differs: access is missing: {text}" for text in sorted(map(str, access()))),
    ]
    code, lines = overt("apply", "--acls")
    assert code == EQUAL
    assert len(lines) == len(TOPICS) + len(access()) + 1
    assert f"{TOPICS[0]}: made, 1 partitions, replication 1" in lines
    assert configs(cluster, "frames.v1")["segment.ms"] == "10000"
    assert configs(cluster, "alert-windows.v1")["cleanup.policy"] == "compact,delete"
    assert {configs(cluster, name)["min.insync.replicas"] for name in TOPICS} == {"1"}
    equal = [f"as the table says: {len(TOPICS)} topics, and who may use them"]
    assert overt("apply", "--acls") == (EQUAL, equal)
    assert overt("check", "--acls") == (EQUAL, equal)


def test_a_changed_setting_is_named_and_mended(applied: Overt, cluster: KafkaCluster) -> None:
    set_config(cluster, "frames.v1", retention_ms="604800000", cleanup_policy="compact,delete")
    set_config(cluster, "matches.v1", retention_bytes="1000")
    drift = [
        "differs: frames.v1: cleanup.policy is compact,delete, should be delete",
        "differs: frames.v1: retention.ms is 604800000, should be 60000",
        "differs: matches.v1: retention.bytes is set to 1000, should not be set",
    ]
    until(lambda: applied("check"), (DRIFTED, drift))
    code, lines = applied("apply")
    assert code == EQUAL
    assert lines[:-1] == [
        "frames.v1: cleanup.policy compact,delete -> delete",
        "frames.v1: retention.ms 604800000 -> 60000",
        "matches.v1: retention.bytes 1000 -> the default",
    ]
    assert configs(cluster, "frames.v1")["retention.ms"] == "60000"


def delete(cluster: KafkaCluster, overt: Overt, topic: str) -> None:
    admin = cluster.admin()
    admin.delete_topics([topic])[topic].result(PATIENCE_S)
    until(lambda: overt("check"), (DRIFTED, [f"differs: {topic}: is missing"]))


def test_a_topic_that_somebody_deleted_is_made_again(applied: Overt, cluster: KafkaCluster) -> None:
    delete(cluster, applied, "audit.v1")
    assert applied("apply")[0] == EQUAL


def test_too_few_partitions_are_added_only_when_asked_for(applied: Overt, cluster: KafkaCluster) -> None:
    delete(cluster, applied, "faces.v1")
    (spec,) = (each for each in topic_specs() if each.name == "faces.v1")
    narrow = replace(spec, partitions=2, config={**spec.config, "min.insync.replicas": "1"})
    create_topics(cluster.bootstrap, [narrow], login=cluster.login(OPERATOR))
    too_few = ["differs: faces.v1: partitions is 2, should be 8"]
    until(lambda: applied("check"), (DRIFTED, too_few))
    assert applied("apply") == (DRIFTED, too_few)
    code, lines = applied("apply", "--add-partitions")
    assert (code, lines[0]) == (EQUAL, "faces.v1: partitions 2 -> 8")


def test_too_many_partitions_are_named_and_left(applied: Overt, cluster: KafkaCluster) -> None:
    admin = cluster.admin()
    admin.create_partitions([NewPartitions("alerts.v1", 5)])["alerts.v1"].result(PATIENCE_S)
    too_many = (DRIFTED, ["differs: alerts.v1: partitions is 5, should be 4"])
    until(lambda: applied("check"), too_many)
    assert applied("apply", "--add-partitions") == too_many
    delete(cluster, applied, "alerts.v1")
    assert applied("apply")[0] == EQUAL


def binding(principal: str, kind: ResourceType, name: str, pattern: ResourcePatternType) -> AclBinding:
    return AclBinding(kind, name, pattern, principal, "*", AclOperation.READ, AclPermissionType.ALLOW)


def test_access_beyond_the_table_is_named_and_taken_only_with_prune(
    applied: Overt, cluster: KafkaCluster
) -> None:
    topic, group, literal = ResourceType.TOPIC, ResourceType.GROUP, ResourcePatternType.LITERAL
    surplus = [
        binding("User:*", topic, "*", literal),
        binding("User:detect", topic, "matches.v1", literal),
        binding("User:someone", topic, "matches", ResourcePatternType.PREFIXED),
        binding("User:someone", group, "alerts", literal),
        binding("User:match", group, "another", literal),
    ]
    foreign = binding("User:someone", topic, "their-own", literal)
    admin = cluster.admin()
    for future in admin.create_acls([*surplus, foreign]).values():
        future.result(PATIENCE_S)
    named = [
        "anybody may read topic *",
        "detect may read topic matches.v1",
        "match may read group another",
        "someone may read group alerts",
        "someone may read topic that begins with matches",
    ]
    left = [f"differs: access is surplus: {text}" for text in named]
    until(lambda: applied("check", "--acls"), (DRIFTED, left))
    assert applied("check")[0] == EQUAL
    assert applied("apply", "--acls") == (DRIFTED, left)
    code, lines = applied("apply", "--acls", "--prune")
    assert (code, lines[:-1]) == (EQUAL, [f"access taken: {text}" for text in named])
    assert any(acl == foreign for acl in acls_there(admin, cluster.bootstrap))


def test_a_reader_of_alerts_outside_overt_is_given_that_topic_alone(applied: Overt) -> None:
    code, lines = applied("apply", "--acls", "--reader", "dispatch")
    assert code == EQUAL
    assert lines[:-1] == [
        "access given: dispatch may read group dispatch",
        "access given: dispatch may read topic alerts.v1",
    ]
    assert applied("check", "--acls", "--reader", "dispatch")[0] == EQUAL
    named = (DRIFTED, ["differs: access is surplus: dispatch may read topic alerts.v1"])
    assert applied("check", "--acls") == named


def test_more_copies_than_nodes_are_refused(applied: Overt) -> None:
    code, (line,) = applied("apply", "--replication-factor", "3")
    assert code == OUT_OF_REACH
    assert "3 copies" in line


def test_a_cluster_out_of_reach_is_told_in_one_line(overt: Overt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_admin.topics_of, "__defaults__", (0.5,))
    nowhere = f"{LOOPBACK}:{lasting_ports(1)[0]}"
    code, (line,) = overt("check", kafka=nowhere)
    assert code == OUT_OF_REACH
    assert f"cannot reach Kafka at {nowhere}" in line


@pytest.mark.parametrize("verb", ["check", "apply"])
def test_a_refused_password_is_told_and_not_shown(overt: Overt, tmp_path: Path, verb: str) -> None:
    (tmp_path / "password").write_text("not-the-password")
    code, (line,) = overt(verb)
    assert code == OUT_OF_REACH
    assert f"refused the login of user {OPERATOR} (" in line
    assert "cannot reach" not in line
    assert "not-the-password" not in line
