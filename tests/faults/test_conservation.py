"""Nothing from a match on is lost or doubled: undisturbed, and with a service killed, frozen or cut off."""

import signal
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient

from tests.integration.deployed import MODULES, Report
from tests.integration.servers.process import LOOPBACK

from .proxy import Proxy
from .run import Outcome, Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
# Longer than a group waits for a member: 6 s for embed, 10 s for the stream of alerts.
FROZEN_S = 13.0
ANSWER_S = 10.0
CUT_S = 8.0


def test_an_undisturbed_run_raises_one_alert_for_each_label(survives: Survives, report: Report) -> None:
    outcome = survives(lambda _: None)
    assert outcome.appearances_required == outcome.alerts
    assert outcome.ended_by_themselves == []
    report(f"undisturbed: {outcome}")


def test_each_service_may_be_killed_in_turn(survives: Survives, stage: Stage, report: Report) -> None:
    before = len(stage.supervisor.outages)

    def kill_each(run: Run) -> None:
        for name in MODULES:
            stage.supervisor.kill(name)
            run.watch(4.0)
            stage.supervisor.until_all_ready()
        run.watch(stage.recording.cycle_s / 2)

    survives(kill_each)
    killed = [one for one in stage.supervisor.outages[before:] if one.cause == "kill"]
    took = {one.service: (one.ready_s or 0) - one.from_s for one in killed}
    report("ready again after kill -9: " + ", ".join(f"{name} {s:.1f} s" for name, s in took.items()))


def members(stage: Stage, group: str) -> int:
    """Return how many members hold partitions of a service's topic."""
    admin = AdminClient({"bootstrap.servers": stage.system.kafka.bootstrap, "log_level": 0})
    described = admin.describe_consumer_groups([group])[group].result(ANSWER_S)
    return sum(bool(member.assignment.topic_partitions) for member in described.members)


@pytest.mark.parametrize("name", ["embed", "alerts"])
def test_a_consumer_that_stands_still_is_put_out_of_its_group_and_loses_nothing(
    survives: Survives, stage: Stage, name: str
) -> None:
    def freeze(run: Run) -> None:
        process = stage.system.services[name].process
        stage.until(lambda: members(stage, name) == 1, f"{name} has its partitions")
        process.send(signal.SIGSTOP)
        try:
            run.watch(FROZEN_S)
            # A static member keeps its place for a session, as any other, and no longer.
            stage.until(lambda: members(stage, name) == 0, f"{name} is put out of its group")
            stage.until(lambda: not stage.system.topics.is_consumed(name), f"something waits for {name}")
        finally:
            process.send(signal.SIGCONT)
        stage.until(lambda: members(stage, name) == 1, f"{name} has its partitions again")

    assert survives(freeze).ended_by_themselves == []


def test_match_survives_that_the_network_to_control_and_milvus_is_cut(
    survives: Survives, stage: Stage
) -> None:
    control = (LOOPBACK, stage.system.control_port)
    host, _, port = stage.system.milvus.uri.removeprefix("http://").partition(":")
    with Proxy(control) as to_control, Proxy((host, int(port))) as to_milvus:
        stage.begin_anew(
            "match",
            OVERT_CONTROL_URL=f"http://{to_control.address}",
            OVERT_MILVUS_URI=f"http://{to_milvus.address}",
        )

        def cut(run: Run) -> None:
            to_control.cut()
            to_milvus.cut()
            run.watch(CUT_S)
            to_control.mend()
            to_milvus.mend()

        try:
            assert survives(cut).ended_by_themselves == []
        finally:
            stage.begin_anew("match")
