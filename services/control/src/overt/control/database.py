"""Opens control's database with what erasure and crashes ask of it."""

from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url, text

from overt.control.tables import Base

# secure_delete overwrites what is deleted with zeros; foreign_keys is off in SQLite unless asked for;
# NORMAL could lose the last commits of a power cut, and an order or a key must not be lost.
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def open_database(url: str) -> Engine:
    """Connect, and make the tables that are missing."""
    engine = create_engine(url, hide_parameters=True)  # a statement in an error must not show a label
    if make_url(url).get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    Base.metadata.create_all(engine)
    return engine


def _prepare_sqlite(connection: SqliteConnection, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def scrub(engine: Engine) -> None:
    """Make deletions true on disk now: SQLite's write-ahead log still holds the old pages until it is cut.

    PostgreSQL has no such call; there the sealed bytes outlive the row until vacuum, without their key.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
