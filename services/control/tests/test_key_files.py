"""Key files: made once, whole, private."""

import base64
import stat
import threading
from pathlib import Path

import pytest

from overt.control.errors import KeyFileUnsafe
from overt.control.key_files import decode_secret, find_or_make


def test_a_key_file_is_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "kek"
    secret = find_or_make(path)
    assert len(secret) == 32
    assert find_or_make(path) == secret


def test_only_the_owner_can_read_the_key_file_and_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "kek"
    find_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_but_the_key_is_left_in_the_folder(tmp_path: Path) -> None:
    find_or_make(tmp_path / "kek")
    assert [item.name for item in tmp_path.iterdir()] == ["kek"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kek"
    find_or_make(path)
    path.chmod(mode)
    with pytest.raises(KeyFileUnsafe, match="chmod 600"):
        find_or_make(path)


def test_many_at_once_end_with_one_key(tmp_path: Path) -> None:
    path, found, ready = tmp_path / "kek", [], threading.Barrier(8)

    def make() -> None:
        ready.wait()
        found.append(find_or_make(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "holds 0"), ("not base64!", "not base64"), (base64.b64encode(b"short").decode(), "holds 5")],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str, words: str) -> None:
    with pytest.raises(KeyFileUnsafe, match=words) as refused:
        decode_secret(text, "the setting")
    assert not text or text not in str(refused.value)
