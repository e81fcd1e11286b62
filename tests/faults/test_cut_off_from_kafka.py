"""One service alone is cut off from Kafka for longer than its session: the others go on, and it comes back."""

import time
from collections.abc import Callable

import pytest

from overt.runtime.kafka_admin import ClusterAdmin
from tests.integration.topics_seen import READERS

from .proxy import Proxy
from .run import Outcome, Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
# Longer than a group waits for a silent member.
CUT_S = 15.0


def is_alone(stage: Stage, group: str) -> bool:
    """Whether the group has no member any more."""
    admin = ClusterAdmin(stage.system.kafka.bootstrap, None)
    return not admin.describe_consumer_groups([group])[group].result(10).members


def read_by(stage: Stage, name: str) -> float:
    return stage.metric(name, "overt_loop_records_total", topic=READERS[name].name, outcome="read")


@pytest.mark.parametrize("name", ["embed", "alerts"])
def test_a_service_that_is_cut_off_from_kafka_loses_nothing_and_comes_back(
    survives: Survives, stage: Stage, side_door: Proxy, name: str
) -> None:
    stage.begin_anew(name, OVERT_KAFKA_BOOTSTRAP=side_door.address)
    service = stage.system.services[name]

    def cut(run: Run) -> None:
        stage.until(lambda: read_by(stage, name) > 0, "it reads by the side door")
        side_door.cut()
        try:
            began_s, before = time.monotonic(), read_by(stage, name)
            run.watch(CUT_S)
            stage.until(lambda: is_alone(stage, name), "its group has given it up")
            assert time.monotonic() - began_s >= CUT_S
        finally:
            side_door.mend()
        stage.until(lambda: service.ready and read_by(stage, name) > before, "it reads again")
        stage.until(lambda: not is_alone(stage, name), "it is a member again")

    try:
        assert survives(cut).ended_by_themselves == []
        assert stage.system.services[name] is service
    finally:
        stage.begin_anew(name)
