"""The audit chain: only added to, and every change shows."""

import sqlite3
from pathlib import Path

import pytest

from overt.alerts.audit import Act, append, first_broken
from overt.alerts.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(f"sqlite:///{tmp_path}/audit.db")
    with store.write() as session:
        for number in range(1, 6):
            append(session, Act(number, "operator-1", "picture.view", f"alert-{number}", "portrait"))
    return store


def tamper(tmp_path: Path, *statements: str) -> None:
    connection = sqlite3.connect(tmp_path / "audit.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_an_untouched_chain_is_intact(store: Store) -> None:
    with store.read() as session:
        assert first_broken(session) is None
    store.close()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET person_id = 'operator-2' WHERE position = 3", "DELETE FROM audit WHERE position = 3"],
)
def test_the_database_refuses_to_change_or_delete_a_link(
    store: Store, tmp_path: Path, statement: str
) -> None:
    connection = sqlite3.connect(tmp_path / "audit.db")
    with pytest.raises(sqlite3.IntegrityError, match="insert-only"):
        connection.execute(statement)
    connection.close()
    store.close()


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET person_id = 'operator-2' WHERE position = 3", 3),
        ("UPDATE audit SET at_ns = 9 WHERE position = 1", 1),
        ("UPDATE audit SET hash = '00' WHERE position = 5", 5),
        ("DELETE FROM audit WHERE position = 3", 3),
        ("UPDATE audit SET action = 'picture', subject = '.view' || subject WHERE position = 2", 2),
    ],
)
def test_whoever_gets_around_the_triggers_is_found_out(
    store: Store, tmp_path: Path, statement: str, broken: int
) -> None:
    tamper(tmp_path, "DROP TRIGGER audit_refuses_update", "DROP TRIGGER audit_refuses_delete", statement)
    with store.read() as session:
        assert first_broken(session) == broken
    store.close()
