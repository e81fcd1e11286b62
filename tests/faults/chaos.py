"""Kills services at random while cameras play, and counts what became of every alert and judgement.

    make chaos ARGS="--minutes 10 --kills 50 --cameras 4 --seed 7 [--broker-restart-every 60]"
    make chaos ARGS="--away 60"      instead: broker, Milvus and databases away for a minute each

The seed decides which service is killed when; what a run comes to also depends on the machine, which is
printed. The last line says whether it held; exit 1 when it did not: anything was lost or doubled, a service
ended by itself, or no pass was left undisturbed. With --away also: not all worked again within 10 s of a
server's return, a service grew by more than 100 MB, or ingest missed pictures and did not count them. How
soon killed services are ready again is reported only: a start of a process is part of it.
"""

import argparse
import json
import logging
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

from .away import run_away
from .run import Outcome, Run
from .servers_away import restart_broker
from .stage import Stage, servers, staged
from .supervisor import Outage
from .verdict import last_line, reasons_in_outcome

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


def _parser() -> argparse.ArgumentParser:
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
    return parser


def main() -> int:
    """Run, print, write the files; return the exit code."""
    told = _parser().parse_args()
    # Whether a Milvus that is away is back is asked ten times a second; the client shows a trace each time.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    plan = Plan(told.minutes, told.kills, told.cameras, told.seed, told.broker_restart_every, told.slower)
    with servers() as started, staged(*started, cameras=plan.cameras, slower=plan.slower) as stage:
        reasons = _away(stage, told.away) if told.away else _chaos(stage, plan, told.out)
    sys.stdout.write(last_line(reasons) + "\n")
    return 1 if reasons else 0


def _away(stage: Stage, seconds: float) -> Sequence[str]:
    """Take each server away, print what the runs came to; return why they did not hold."""
    outcomes, reasons = run_away(stage, seconds)
    for outcome in outcomes:
        sys.stdout.write(outcome_in_words(outcome) + "\n")
    return [*reasons, *(reason for outcome in outcomes for reason in reasons_in_outcome(outcome))]


def _chaos(stage: Stage, plan: Plan, out: Path | None) -> Sequence[str]:
    """Kill as planned, print the report and write it, its lines and the logs to `out`; return why it did not hold."""
    report, expected, found = run_chaos(stage, plan)
    sys.stdout.write(in_words(report) + "\n" + json.dumps(msgspec.to_builtins(report)) + "\n")
    if out is not None:
        (out / "logs").mkdir(parents=True, exist_ok=True)
        for log in stage.supervisor.logs():
            shutil.copy(log, out / "logs")
        (out / "report.json").write_bytes(msgspec.json.encode(report))
        (out / "expected.jsonl").write_text(written(expected))
        (out / "run.jsonl").write_text(written(found))
    return reasons_in_outcome(report.outcome)


if __name__ == "__main__":
    sys.exit(main())
