"""Nothing from a match on is lost or doubled: undisturbed, and with a service killed, frozen or cut off."""

import signal
import time
from collections.abc import Callable

import pytest

from tests.integration.deployed import MODULES, Report
from tests.integration.servers.process import LOOPBACK

from .proxy import Proxy
from .run import Outcome, Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
# Longer than a group waits for a member: its partitions are given to somebody else, and come back.
FROZEN_S = 13.0
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
    took = {one.service: (one.ready_s or 0) - one.from_s for one in stage.supervisor.outages[before:]}
    report("ready again after kill -9: " + ", ".join(f"{name} {s:.1f} s" for name, s in took.items()))


@pytest.mark.parametrize("name", ["embed", "alerts"])
def test_a_consumer_that_stands_still_loses_nothing(survives: Survives, stage: Stage, name: str) -> None:
    def freeze(run: Run) -> None:
        process = stage.system.services[name].process
        process.send(signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            run.watch(FROZEN_S)
            assert time.monotonic() - began_s >= FROZEN_S
        finally:
            process.send(signal.SIGCONT)

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
