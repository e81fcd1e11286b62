"""One stage for all faults of a run: two cameras on a real Kafka, and after each fault the books are looked at."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overt.cli.demo import DemoFiles
from tests.integration.conftest import cache, demo, milvus, report, tools_dir
from tests.integration.deployed import Report
from tests.integration.servers.kafka import KafkaServer, SideDoor
from tests.integration.servers.milvus import MilvusServer
from tests.integration.servers.process import LOOPBACK, lasting_ports

from .chaos import outcome_in_words
from .proxy import Proxy
from .run import ENOUGH_S, Outcome, Run
from .stage import Stage, staged

__all__ = ["cache", "demo", "milvus", "report", "tools_dir"]

CAMERAS, SLOWER = 2, 3
# Where root may not make a disk, the test of a full one is skipped.
DATABASE_MB = 48


@pytest.fixture(scope="session")
def side_door() -> Iterator[Proxy]:
    """Return the proxy that stands before the broker's second listener: who is told its address can be cut off."""
    (port,) = lasting_ports(1)
    with Proxy((LOOPBACK, port)) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def kafka(
    tmp_path_factory: pytest.TempPathFactory, tools_dir: Path, side_door: Proxy
) -> Iterator[KafkaServer]:
    """Return the broker of the run, with a side door."""
    door = SideDoor(side_door.target_port, side_door.port)
    with KafkaServer.start(tools_dir, tmp_path_factory.mktemp("kafka"), door) as server:
        yield server


@pytest.fixture(scope="session")
def whole_stage(kafka: KafkaServer, milvus: MilvusServer, demo: DemoFiles) -> Iterator[Stage]:
    """Everything runs; nothing is ordered. The alerts' database lies on a disk of its own, if root may make one."""
    with staged(kafka, milvus, demo, cameras=CAMERAS, slower=SLOWER, disk_mb=DATABASE_MB) as stage:
        yield stage


@pytest.fixture
def stage(whole_stage: Stage) -> Iterator[Stage]:
    """Return the stage with everything running; orders of the test end with it."""
    if "ingest" not in whole_stage.system.services:
        whole_stage.begin_capture()
    whole_stage.supervisor.until_all_ready()
    whole_stage.supervisor.own_ends.clear()
    yield whole_stage
    whole_stage.stop_orders()


@pytest.fixture
def survives(stage: Stage, report: Report) -> Callable[[Callable[[Run], object]], Outcome]:
    """Return what plays until a man has passed each camera, does something meanwhile, and checks the books."""

    def play(fault: Callable[[Run], object]) -> Outcome:
        run = Run(stage)
        stage.order_all(apart_s=2.0)
        run.watch(stage.recording.in_s)
        fault(run)
        # Long enough for a part of a pass that nothing disturbs, wherever the fault ended.
        absent_s = stage.recording.cycle_s - (stage.recording.out_s - stage.recording.in_s)
        run.watch(absent_s + 2 * ENOUGH_S)
        outcome, _, _ = run.settle()
        if not outcome.conserved:
            report(outcome_in_words(outcome))  # at once: the other faults take their time
        assert outcome.conserved, outcome
        assert outcome.appearances_required >= 1
        assert outcome.judgements_made >= 1
        return outcome

    return play
