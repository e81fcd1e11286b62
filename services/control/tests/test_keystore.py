"""Lasting keys: wrapped at rest, found after a restart, gone after erasure."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from overt.control.database import open_database, sqlite_url
from overt.control.errors import WrongKek
from overt.control.keystore import KeyStore
from overt.control.tables import KeyRow

KEK, OTHER_KEK = b"k" * 32, b"o" * 32


def engine_of(folder: Path) -> Engine:
    return open_database(sqlite_url(folder / "control.db"))


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_key_is_found_again_after_a_restart(tmp_path: Path) -> None:
    first = engine_of(tmp_path)
    made = KeyStore(first, KEK).find_or_make("d1")
    first.dispose()
    second = engine_of(tmp_path)
    assert KeyStore(second, KEK).find_or_make("d1") == made
    second.dispose()


def test_each_scope_has_a_key_of_its_own(tmp_path: Path) -> None:
    engine = engine_of(tmp_path)
    store = KeyStore(engine, KEK)
    assert store.find_or_make("d1").secret != store.find_or_make("d2").secret
    assert store.scopes() == ("d1", "d2")
    engine.dispose()


def test_no_key_stands_on_disk_in_the_clear(tmp_path: Path) -> None:
    engine = engine_of(tmp_path)
    key = KeyStore(engine, KEK).find_or_make("d1")
    assert key.secret not in bytes_on_disk(tmp_path)
    assert key.key_id.encode() in bytes_on_disk(tmp_path)  # the search does find what is there
    engine.dispose()


def test_another_key_encryption_key_opens_nothing(tmp_path: Path) -> None:
    engine = engine_of(tmp_path)
    KeyStore(engine, KEK).find_or_make("d1")
    with pytest.raises(WrongKek, match="of d1"):
        KeyStore(engine, OTHER_KEK).verify()
    engine.dispose()


def test_a_wrapped_key_does_not_open_in_the_place_of_another(tmp_path: Path) -> None:
    engine = engine_of(tmp_path)
    store = KeyStore(engine, KEK)
    store.find_or_make("d1")
    store.find_or_make("d2")
    with Session(engine) as session, session.begin():
        session.get_one(KeyRow, "d1").wrapped = session.get_one(KeyRow, "d2").wrapped
    with pytest.raises(WrongKek):
        store.find("d1")
    engine.dispose()


def test_a_forgotten_key_is_gone_from_the_disk_too(tmp_path: Path) -> None:
    engine = engine_of(tmp_path)
    store = KeyStore(engine, KEK)
    store.find_or_make("d1")
    with Session(engine) as session:
        wrapped = session.get_one(KeyRow, "d1").wrapped
    assert wrapped in bytes_on_disk(tmp_path)
    assert store.forget("d1")
    assert wrapped not in bytes_on_disk(tmp_path)
    assert store.find("d1") is None
    assert not store.forget("d1")
    engine.dispose()


def test_a_scope_that_was_forgotten_gets_another_key(tmp_path: Path) -> None:
    engine = engine_of(tmp_path)
    store = KeyStore(engine, KEK)
    before = store.find_or_make("d1")
    store.forget("d1")
    assert store.find_or_make("d1").secret != before.secret
    engine.dispose()
