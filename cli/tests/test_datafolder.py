from pathlib import Path

import pytest

from overt.cli.datafolder import MARK, DataFolderRefused, data_folder, default_cache_dir, default_data_dir
from overt.control.errors import DataFolderBusy


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with data_folder(folder), pytest.raises(DataFolderBusy, match="another process"), data_folder(folder):
        pass
    with data_folder(folder) as again:
        assert again == folder


def test_an_empty_start_removes_what_an_earlier_run_left_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    with data_folder(folder):
        (folder / "old").mkdir()
        (folder / "old" / "file").touch()
        (folder / "link").symlink_to(outside)
    with data_folder(folder, empty=True):
        assert {path.name for path in folder.iterdir()} == {"lock", MARK}
    assert (outside / "kept").exists()


def test_a_folder_with_other_things_is_never_taken_over(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("mine")
    with pytest.raises(DataFolderRefused, match="other things"), data_folder(tmp_path, empty=True):
        pass
    assert (tmp_path / "diary").read_text() == "mine"


def test_the_folder_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with data_folder(tmp_path / "data") as folder:
        assert folder.stat().st_mode & 0o077 == 0


def test_folders_come_from_the_environment_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OVERT_DATA_DIR", raising=False)
    monkeypatch.delenv("OVERT_CACHE_DIR", raising=False)
    assert default_data_dir() == tmp_path / "share" / "overt"
    assert default_cache_dir() == tmp_path / "cache" / "overt"
    monkeypatch.setenv("OVERT_CACHE_DIR", str(tmp_path / "mine"))
    assert default_cache_dir() == tmp_path / "mine"
