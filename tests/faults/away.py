"""`make chaos ARGS="--away 60"`: each server away in turn while cameras play, and what follows."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

from .endure import Away, endure
from .run import Outcome, Run
from .servers_away import FAULTS, on_postgres, postgres_away
from .stage import Stage
from .verdict import reasons_in_away

POSTGRES = "PostgreSQL is stopped"

Fault = Callable[[], AbstractContextManager[object]]


def run_away(stage: Stage, seconds: float) -> tuple[Sequence[Outcome], Sequence[str]]:
    """Take each server away for that long on a stage without orders, and print what follows each.

    Returns the outcome with the alerts in SQLite and that with them in PostgreSQL, and why it did not hold.
    """
    faults: dict[str, Fault] = {name: partial(fault, stage) for name, fault in FAULTS.items()}
    first, reasons = _run(stage, faults, seconds)
    stage.stop_orders()
    stage.supervisor.own_ends.clear()
    with on_postgres(stage) as postgres:
        stage.begin_capture()
        second, more = _run(stage, {POSTGRES: partial(postgres_away, postgres)}, seconds)
        stage.stop_orders()
    return [first, second], [*reasons, *more]


def _run(stage: Stage, faults: dict[str, Fault], seconds: float) -> tuple[Outcome, Sequence[str]]:
    run, reasons = Run(stage), list[str]()
    stage.order_all(apart_s=1.0)
    run.watch(stage.recording.in_s)
    for name, fault in faults.items():
        found = endure(run, fault(), seconds)
        sys.stdout.write(f"{name} for {seconds:.0f} s: {in_words(found)}\n")
        sys.stdout.flush()
        reasons += reasons_in_away(name, found)
        run.watch(stage.recording.cycle_s)
    outcome, _, _ = run.settle()
    return outcome, reasons


def in_words(found: Away) -> str:
    """Return what was measured, for people."""
    pictures = found.pictures
    lines = [f"works again after {found.works_again_s:.1f} s"]
    lines += [
        f"    {name:12} at most {one.largest_mb:5.0f} MB, grew by {one.grew_mb:+5.0f} MB"
        for name, one in found.memory.items()
    ]
    lines.append(
        f"    of {pictures.due:.0f} pictures {pictures.sent:.0f} were sent, {pictures.dropped:.0f} counted as "
        f"dropped, {pictures.missed_uncounted} missed without being counted"
    )
    return "\n".join(lines)
