"""Takes a server that Overt needs away for a while, and gives it back on what it left; slows services down."""

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from tests.integration.deployed import PAGES
from tests.integration.servers.postgres import PostgresServer

from .stage import Stage
from .supervisor import Outage

# Of each second, a slow service works this long.
AWAKE_S, ASLEEP_S = 0.1, 0.9


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


@contextmanager
def slow(stage: Stage, names: Sequence[str]) -> Iterator[None]:
    """Let services work a tenth of the time, as on a machine that others use: each lives and falls behind."""
    processes, over = [stage.system.services[name].process for name in names], threading.Event()

    def send_all(number: signal.Signals) -> None:
        for process in processes:
            process.send(number)

    def crawl() -> None:
        while not over.wait(AWAKE_S):
            send_all(signal.SIGSTOP)
            over.wait(ASLEEP_S)
            send_all(signal.SIGCONT)

    thread = threading.Thread(target=crawl)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


FAULTS: Mapping[str, Callable[[Stage], AbstractContextManager[object]]] = {
    "the broker is stopped": broker_away,
    "the broker says nothing": broker_frozen,
    "Milvus is stopped": milvus_away,
    "the database is locked": database_locked,
}


@contextmanager
def on_postgres(stage: Stage) -> Iterator[PostgresServer]:
    """Keep the alerts in a PostgreSQL of its own while the block lasts; no order may be active at its ends."""
    before = stage.system.alerts_database_url
    with PostgresServer.start() as postgres:
        _switch(stage, postgres.database())
        try:
            yield postgres
        finally:
            _switch(stage, before)


def _switch(stage: Stage, url: str) -> None:
    stage.system.alerts_database_url = url
    for name in ("alerts", PAGES):
        stage.begin_anew(name)


@contextmanager
def postgres_away(postgres: PostgresServer) -> Iterator[None]:
    """Stop PostgreSQL in order for as long as the block lasts; return once it answers again."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.restart()
