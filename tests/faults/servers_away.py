"""Takes a server that Overt needs away for a while, gives it back on what it left, and measures what follows."""

import contextlib
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import psutil

from tests.integration.deployed import Service

from .run import Run
from .stage import Stage
from .supervisor import Outage


@dataclass(frozen=True, slots=True)
class Away:
    """After how many seconds everything worked again, and by how much a process grew at most meanwhile."""

    works_again_s: float
    grew_mb: float


@contextmanager
def broker_away(stage: Stage) -> Iterator[Outage]:
    """Stop the broker in order for as long as the block lasts; return once it answers again."""
    outage = stage.supervisor.note("broker", "stopped")
    stage.system.kafka.process.stop()
    try:
        yield outage
    finally:
        stage.system.kafka.process.begin_again()
        stage.until(stage.broker_answers, "the broker is back")
        outage.ready_s = time.time()


def restart_broker(stage: Stage) -> float:
    """Stop and start the broker; return how many seconds it was away."""
    with broker_away(stage) as outage:
        pass
    return (outage.ready_s or time.time()) - outage.from_s


@contextmanager
def broker_frozen(stage: Stage) -> Iterator[Outage]:
    """Every connection to the broker stays open and says nothing, as when the network between is cut."""
    outage, process = stage.supervisor.note("broker", "frozen"), stage.system.kafka.process
    process.send(signal.SIGSTOP)
    try:
        yield outage
    finally:
        process.send(signal.SIGCONT)
        stage.until(stage.broker_answers, "the broker answers again")
        outage.ready_s = time.time()


@contextmanager
def milvus_away(stage: Stage) -> Iterator[Outage]:
    """Stop Milvus for as long as the block lasts; return once it answers again."""
    outage = stage.supervisor.note("milvus", "stopped")
    stage.system.milvus.stop()
    try:
        yield outage
    finally:
        stage.system.milvus.process.begin_again()
        stage.until(stage.system.milvus.answers, "Milvus is back")
        outage.ready_s = time.time()


@contextmanager
def database_locked(stage: Stage) -> Iterator[None]:
    """Nobody can write to the alerts' SQLite file."""
    with contextlib.closing(sqlite3.connect(stage.system.alerts_database, timeout=30)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.rollback()


FAULTS: Mapping[str, Callable[[Stage], AbstractContextManager[object]]] = {
    "the broker is stopped": broker_away,
    "the broker says nothing": broker_frozen,
    "Milvus is stopped": milvus_away,
    "the database is locked": database_locked,
}


def endure(run: Run, fault: AbstractContextManager[object], seconds: float) -> Away:
    """Let `fault` last, then wait until pictures are looked at and every service is ready again.

    The time counts from when the server answers again.
    """
    stage = run.stage
    before = _memory_mb(stage)
    with fault:
        run.watch(seconds)
        grew_mb = max(after - before[name] for name, after in _memory_mb(stage).items())
    detect = stage.system.services["detect"]
    read = _frames_read(stage)
    took_s = stage.until(lambda: _works(stage, detect, read), "everything works again")
    return Away(took_s, grew_mb)


def _works(stage: Stage, detect: Service, read: float) -> bool:
    if stage.system.services["detect"] is not detect:
        read = 0.0  # a new process counts from the beginning
    return _frames_read(stage) > read and all(one.ready for one in stage.system.services.values())


def _frames_read(stage: Stage) -> float:
    return stage.metric("detect", "overt_loop_records_total", topic="frames.v1", outcome="read")


def _memory_mb(stage: Stage) -> dict[str, float]:
    services = stage.system.services.items()
    return {name: psutil.Process(one.process.pid).memory_info().rss / 1e6 for name, one in services}
