"""Opens the database, SQLite or PostgreSQL, and hands out its transactions: one writer at a time."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from overt.alerts.tables import Base
from overt.runtime.loop import Unavailable
from overt.runtime.process import CannotBegin

BUSY_TIMEOUT_MS = 10_000
# Any two numbers, the same in every process: who holds the first writes, who holds the second publishes.
WRITE_LOCK = 0x6F7665727401
RELAY_LOCK = 0x6F7665727402
# A server that hangs, or a line that is cut, must become an error: nothing waits for it for ever.
POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "overt-alerts",
    "options": f"-c statement_timeout=15000 -c lock_timeout={BUSY_TIMEOUT_MS} "
    "-c idle_in_transaction_session_timeout=60000",
}


class StoreUnusable(CannotBegin):
    """The database can't be opened, or is none."""


class DatabaseAway(Unavailable):
    """The database does not answer now, or can't write: try again later, nothing of it was lost."""


class Database:
    """Opens the database and creates what is missing. Safe to share between threads and processes."""

    def __init__(self, url: str) -> None:
        """Open `url`: `sqlite:///FILE` or `postgresql+psycopg://…`. Raises StoreUnusable."""
        parsed = _parse(url)
        self._relay_file = Path(f"{parsed.database}.relay") if _is_sqlite(parsed) else None
        try:
            self._engine = _open_sqlite(parsed) if _is_sqlite(parsed) else _open_postgres(parsed)
            with self._engine.execution_options(write=True).begin() as connection:
                _lock_for_writing(connection)
                Base.metadata.create_all(connection)
        except OSError as error:
            raise StoreUnusable(f"the alerts database can't be opened: {error.strerror}") from None
        except sqlite3.Error as error:
            raise StoreUnusable(f"the alerts database can't be used: {error}") from None
        except DBAPIError as error:
            raise StoreUnusable(f"the alerts database can't be used: {_first_line(error)}") from None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start; committed unless something is raised.

        There is one writer at a time, in whatever process: so nobody's change is lost, the audit chain has
        no forks, and positions of the outbox become visible in their order. Raises DatabaseAway.
        """
        engine = self._engine.execution_options(write=True)
        with _translated(), Session(engine, expire_on_commit=False) as session, session.begin():
            _lock_for_writing(session.connection())
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction for reading. Raises DatabaseAway."""
        with _translated(), Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def relay_lease(self) -> Iterator[bool]:
        """Yield whether this holder alone may publish while the block lasts. Raises DatabaseAway.

        It ends with the holder, however that ends: a lock of the server's, or of the file's.
        """
        if self._relay_file is not None:
            with _file_lock(self._relay_file) as held:
                yield held
            return
        with self.read() as session:
            yield bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": RELAY_LOCK}))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise StoreUnusable(
            "the alerts database's address must begin with sqlite:/// or postgresql+psycopg://"
        )
    if _is_sqlite(parsed) and parsed.database in (None, "", ":memory:"):
        raise StoreUnusable("alerts are kept in a file: a restart must find them again")
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _lock_for_writing(connection: Connection) -> None:
    # SQLite has taken its lock with BEGIN IMMEDIATE.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITE_LOCK})


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(f"the alerts database is away: {_first_line(error)}") from None
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise DatabaseAway(f"the alerts database is away: {_first_line(error)}") from None


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).splitlines()
    return lines[0] if lines else type(error.orig).__name__


def _open_postgres(url: URL) -> Engine:
    # hide_parameters: they are pictures and names.
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=POSTGRES)

    @event.listens_for(engine, "handle_error")
    def leave_a_standby(context: ExceptionContext) -> None:
        # After a failover the connection is to what only reads by now: the next one may find who writes.
        if isinstance(context.original_exception, ReadOnlySqlTransaction):
            context.is_disconnect = True

    return engine


def _open_sqlite(url: URL) -> Engine:
    assert url.database is not None
    _create(Path(url.database))
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # The driver would begin transactions by itself, and too late; `begin` below does it.
        connection.isolation_level = None
        for pragma in (
            "synchronous=FULL",  # an alert that was acknowledged survives a power cut
            "foreign_keys=ON",
            "secure_delete=ON",  # what is deleted is overwritten
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that turns writer half-way fails with "database is locked"; so writers say it first.
        writes = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create(path: Path) -> None:
    """Create the file, readable by its owner only (SQLite gives its side files the same mode), with a WAL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Who changes the journal's mode while another does is refused without a wait: so one after the other.
    opening = os.open(f"{path}.opening", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(opening, fcntl.LOCK_EX)
        # Not opened when it is there: closing it would end the locks that SQLite holds on it here.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    finally:
        os.close(opening)


@contextmanager
def _file_lock(path: Path) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise DatabaseAway(f"the relay's lock can't be opened: {error.strerror}") from None
    try:
        yield _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DatabaseAway(f"the relay's lock can't be taken: {error.strerror}") from None
    return True
