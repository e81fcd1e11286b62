"""Opening the database: what can't be used is one clear line."""

from pathlib import Path

import pytest

from overt.alerts.database import StoreUnusable
from overt.alerts.store import Store


def test_a_file_that_is_no_database_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "alerts.db"
    path.write_bytes(b"these are somebody's notes " * 50)
    with pytest.raises(StoreUnusable, match="not a database"):
        Store(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"these are somebody's notes")


def test_a_path_that_cannot_be_opened_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="can't be opened"):
        Store(f"sqlite:///{tmp_path}/file/alerts.db")


def test_a_database_that_a_restart_would_lose_is_refused() -> None:
    with pytest.raises(StoreUnusable, match="restart"):
        Store("sqlite://")
