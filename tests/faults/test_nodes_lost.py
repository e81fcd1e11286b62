"""The whole of Overt on three nodes with logins: one is killed, comes back and leads again, while a camera plays."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import ElectionType, TopicPartition

from overt.cli.demo import DemoFiles
from overt.contracts.topics import MATCHES, TOPICS
from tests.integration.servers.kafka import KafkaServer
from tests.integration.servers.kafka_cluster import KafkaCluster
from tests.integration.servers.milvus import MilvusServer
from tests.integration.servers.serve import equip

from .run import Outcome, Run
from .stage import Stage, staged

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
# One camera and a slow clip: three nodes and seven processes share the machine.
CAMERAS, SLOWER = 1, 4
AWAY_S = 12.0
ELECTION_TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, tools_dir: Path) -> Iterator[KafkaCluster]:
    with KafkaCluster.start(tools_dir, tmp_path_factory.mktemp("three-nodes"), nodes=3) as own:
        equip(own)
        own.wait_in_sync(TOPICS)
        yield own


@pytest.fixture(scope="module")
def whole_stage(
    cluster: KafkaCluster, tmp_path_factory: pytest.TempPathFactory, demo: DemoFiles
) -> Iterator[Stage]:
    """Another stage than that of the other faults, with its own Milvus: the two know nothing of each other."""
    seen = KafkaServer(cluster.bootstrap, cluster.data_dirs[0], cluster.process(1))
    with (
        MilvusServer.start(tmp_path_factory.mktemp("milvus-three-nodes")) as milvus,
        staged(seen, milvus, demo, cameras=CAMERAS, slower=SLOWER, login=cluster.login) as stage,
    ):
        yield stage


def leaders(cluster: KafkaCluster) -> set[int]:
    """Return the nodes that lead a partition of a topic of Overt."""
    there = cluster.wait_until(lambda seen: TOPICS.keys() <= seen.topics.keys())
    return {at.leader for name in TOPICS for at in there.topics[name].partitions.values()}


def lead_again(cluster: KafkaCluster) -> None:
    """Have each partition led by the node that should, by the order of its copies: leaders move, nobody ends."""
    places = [TopicPartition(topic.name, at) for topic in TOPICS.values() for at in range(topic.partitions)]
    admin = cluster.admin()
    admin.elect_leaders(ElectionType.PREFERRED, places).result(ELECTION_TIMEOUT_S)


def test_a_killed_node_and_leaders_that_move_lose_nothing(
    survives: Survives, stage: Stage, cluster: KafkaCluster
) -> None:
    there = cluster.wait_until(lambda seen: MATCHES.name in seen.topics)
    victim = there.topics[MATCHES.name].partitions[0].replicas[0]  # the first copy's node is to lead

    def fail(run: Run) -> None:
        outage = stage.supervisor.note("broker", "a node killed")
        cluster.kill(victim)
        run.watch(AWAY_S)
        stage.until(lambda: victim not in leaders(cluster), "two of three lead everything")
        outage.ready_s = time.time()
        run.watch(stage.recording.cycle_s / 2)
        cluster.restart(victim)
        cluster.wait_in_sync(TOPICS)
        outage = stage.supervisor.note("broker", "leaders moved")
        lead_again(cluster)
        stage.until(lambda: cluster.leader_of(MATCHES.name, 0) == victim, "the node leads again")
        run.watch(AWAY_S)
        outage.ready_s = time.time()

    assert survives(fail).ended_by_themselves == []
