"""Watchlist folders: which file is which entry, and safe names for any name."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.control.errors import NoPictures
from overt.control.folder import entry_id_for, label_for, read_folder

IDENTIFIER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
NAMES = st.text(min_size=1, max_size=120)


def test_a_file_is_an_entry_and_a_folder_is_an_entry_with_all_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "Ada Novak").mkdir()
    for name in ("Ada Novak/front.jpg", "Ada Novak/side.png", "Bo.jpg"):
        (tmp_path / name).write_bytes(b"x")
    files = read_folder(tmp_path)
    assert [(file.label, file.name) for file in files] == [
        ("Ada Novak", "Ada Novak/front.jpg"),
        ("Ada Novak", "Ada Novak/side.png"),
        ("Bo", "Bo.jpg"),
    ]
    assert files[0].entry_id == files[1].entry_id != files[2].entry_id == "Bo"


def test_hidden_files_and_what_systems_leave_behind_are_not_pictures(tmp_path: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "._Bo.jpg"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(NoPictures, match="holds no pictures"):
        read_folder(tmp_path)


def test_a_folder_that_is_not_there_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NoPictures, match="is no folder"):
        read_folder(tmp_path / "missing")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "list.jpg").write_bytes(b"x")
    with pytest.raises(NoPictures, match="is no folder"):
        read_folder(tmp_path / "list.jpg")


def test_a_safe_name_is_its_own_id() -> None:
    assert entry_id_for("Bo_Li-2.v1") == "Bo_Li-2.v1"


@given(NAMES)
def test_every_name_has_a_safe_id(name: str) -> None:
    assert IDENTIFIER.match(entry_id_for(name))


@given(NAMES, NAMES)
def test_two_names_never_share_an_id(one: str, other: str) -> None:
    assert (entry_id_for(one) == entry_id_for(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"), [("a b", "a-b"), ("a b", "a  b"), ("Ada!", "Ada?"), ("é", "e"), ("日", "本")]
)
def test_names_that_look_alike_keep_apart(one: str, other: str) -> None:
    assert entry_id_for(one) != entry_id_for(other)


@given(NAMES)
def test_every_label_can_be_shown(name: str) -> None:
    label = label_for(name)
    assert 1 <= len(label) <= 200
    assert label.isprintable()


def test_a_name_that_is_no_text_gets_a_label_and_an_id() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    label_for(name).encode("utf-8")
    assert IDENTIFIER.match(entry_id_for(name))
