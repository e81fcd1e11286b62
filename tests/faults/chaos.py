"""Kills services at random while cameras play, and counts what became of every alert and judgement.

    make chaos ARGS="--minutes 10 --kills 50 --cameras 4 --seed 7 [--broker-restart-every 60]"
    make chaos ARGS="--away 60"      instead: broker, Milvus and database away for a minute each

The seed decides which service is killed when; what a run comes to also depends on the machine, which is
printed. Exit 1 when anything was lost or doubled.
"""

import argparse
import json
import platform
import random
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil

from overt.cli.runs import AlertLine
from overt.cli.verify import written
from tests.integration.deployed import MODULES

from .run import Outcome, Run
from .servers_away import FAULTS, endure, restart_broker
from .stage import Stage, servers, staged
from .supervisor import Outage

# How far from its regular time a kill may be, as a share of the time between two.
JITTER = 0.4


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a run, and the seed that decides it. `broker_every_s` 0: the broker stays."""

    minutes: float
    kills: int
    cameras: int
    seed: int
    broker_every_s: float = 0.0
    slower: int = 4

    def schedule(self) -> Sequence[tuple[float, str]]:
        """Return the second and the victim of each kill, in order of time: everybody's turn comes, at random."""
        chance, step_s = random.Random(self.seed), self.minutes * 60 / max(self.kills, 1)
        rounds = -(-self.kills // len(MODULES))
        victims = [name for _ in range(rounds) for name in chance.sample(sorted(MODULES), k=len(MODULES))]
        return [
            (step_s * (number + 0.5 + chance.uniform(-JITTER, JITTER)), victim)
            for number, victim in enumerate(victims[: self.kills])
        ]


class Report(msgspec.Struct, frozen=True):
    """What is printed and written. Times are seconds from the kill until it was ready again."""

    seed: int
    machine: str
    load_before: float
    minutes: float
    cameras: int
    kills: dict[str, int]
    broker_restarts: int
    recovery_p50_s: float
    recovery_max_s: float
    outcome: Outcome


def run_chaos(stage: Stage, plan: Plan) -> tuple[Report, Sequence[AlertLine], Sequence[AlertLine]]:
    """Do what `plan` says on a stage without orders; return the report, what was expected and what was found."""
    load, run, left = psutil.getloadavg()[0], Run(stage), list(plan.schedule())
    before = len(stage.supervisor.outages)
    # The cameras are not in step, so that whoever is killed, somebody is in view somewhere.
    stage.order_all(apart_s=stage.recording.cycle_s / plan.cameras / 2)
    begun_s = broker_s = time.monotonic()

    def disturb() -> None:
        nonlocal broker_s
        now_s = time.monotonic()
        if left and now_s - begun_s >= left[0][0]:
            stage.supervisor.kill(left.pop(0)[1])
        if plan.broker_every_s and now_s - broker_s >= plan.broker_every_s:
            broker_s = now_s
            restart_broker(stage)

    run.watch(plan.minutes * 60, disturb)
    outcome, expected, found = run.settle()
    return _report(stage.supervisor.outages[before:], plan, outcome, load=load), expected, found


def run_away(stage: Stage, seconds: float) -> Outcome:
    """Take each server away for that long on a stage without orders, print what follows; return the outcome."""
    run = Run(stage)
    stage.order_all(apart_s=1.0)
    run.watch(stage.recording.in_s)
    for name, fault in FAULTS.items():
        found = endure(run, fault(stage), seconds)
        sys.stdout.write(
            f"{name} for {seconds:.0f} s: works again after {found.works_again_s:.1f} s, "
            f"no process grew by more than {found.grew_mb:.0f} MB\n"
        )
        sys.stdout.flush()
        run.watch(stage.recording.cycle_s)
    outcome, _, _ = run.settle()
    return outcome


def _report(outages: Sequence[Outage], plan: Plan, outcome: Outcome, *, load: float) -> Report:
    killed = [one for one in outages if one.cause == "kill"]
    took_s = [(one.ready_s or time.time()) - one.from_s for one in killed] or [0.0]
    memory_gb = psutil.virtual_memory().total / 1e9
    return Report(
        seed=plan.seed,
        machine=f"{platform.machine()}, {psutil.cpu_count()} cores, {memory_gb:.0f} GB, {platform.python_version()}",
        load_before=load,
        minutes=plan.minutes,
        cameras=plan.cameras,
        kills=dict(sorted(Counter(name for one in killed for name in [one.service] * one.times).items())),
        broker_restarts=sum(one.service == "broker" for one in outages),
        recovery_p50_s=round(statistics.median(took_s), 1),
        recovery_max_s=round(max(took_s), 1),
        outcome=outcome,
    )


def in_words(report: Report) -> str:
    """Return the report for people."""
    told: dict[str, Any] = msgspec.to_builtins(report)
    del told["outcome"]
    kills = told.pop("kills")
    lines = [f"{name.replace('_', ' '):24} {value}" for name, value in told.items()]
    lines.append(f"{'kills':24} {sum(kills.values())}: " + ", ".join(f"{n} {k}" for k, n in kills.items()))
    return "\n".join([*lines, outcome_in_words(report.outcome)])


def outcome_in_words(outcome: Outcome) -> str:
    """Return what a run came to, for people."""
    lines = []
    for name, value in msgspec.to_builtins(outcome).items():
        shown = len(value) if isinstance(value, list) else value
        lines.append(f"{name.replace('_', ' '):24} {shown}")
        lines += [f"    {one}" for one in value] if isinstance(value, list) else []
    return "\n".join(lines)


def main() -> int:
    """Run, print, write the files; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--broker-restart-every", type=float, default=0, metavar="SECONDS")
    parser.add_argument(
        "--slower", type=int, default=4, help="how much slower the recording plays (default 4)"
    )
    parser.add_argument("--away", type=float, default=0, metavar="SECONDS", help="see above")
    parser.add_argument(
        "--out", type=Path, help="folder for report.json, expected.jsonl, run.jsonl and the logs"
    )
    told = parser.parse_args()
    plan = Plan(told.minutes, told.kills, told.cameras, told.seed, told.broker_restart_every, told.slower)
    with servers() as started, staged(*started, cameras=plan.cameras, slower=plan.slower) as stage:
        if told.away:
            outcome = run_away(stage, told.away)
            sys.stdout.write(outcome_in_words(outcome) + "\n")
            return 0 if outcome.conserved else 1
        report, expected, found = run_chaos(stage, plan)
        if told.out is not None:
            (told.out / "logs").mkdir(parents=True, exist_ok=True)
            for log in stage.supervisor.logs():
                shutil.copy(log, told.out / "logs")
    sys.stdout.write(in_words(report) + "\n" + json.dumps(msgspec.to_builtins(report)) + "\n")
    if told.out is not None:
        (told.out / "report.json").write_bytes(msgspec.json.encode(report))
        (told.out / "expected.jsonl").write_text(written(expected))
        (told.out / "run.jsonl").write_text(written(found))
    return 0 if report.outcome.conserved else 1


if __name__ == "__main__":
    sys.exit(main())
