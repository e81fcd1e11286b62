"""The folder that one embedded Overt owns: its databases, keys and Milvus files, locked against a second process."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overt.control.folder_lock import FolderLock

LOCK = "lock"
# Only a folder that carries this mark is ever emptied.
MARK = "overt-data"


class DataFolderRefused(Exception):
    """The folder is not ours to use."""


@contextmanager
def data_folder(path: Path, *, empty: bool = False) -> Iterator[Path]:
    """Create and lock `path` for this process; with `empty`, start without what an earlier run left.

    The lock is the kernel's, so it ends with the process, however that ends. Raises DataFolderRefused,
    DataFolderBusy.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderRefused(f"{path} can't be made a folder: {error.strerror}") from None
    others = {entry.name for entry in path.iterdir()} - {LOCK}
    if others and MARK not in others:
        raise DataFolderRefused(f"{path} holds other things than Overt's: give an empty folder with --data")
    lock = FolderLock(path, LOCK)
    try:
        if empty:
            _remove_contents(path)
        (path / MARK).touch()
        yield path
    finally:
        lock.release()


def _remove_contents(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def default_data_dir() -> Path:
    """`$OVERT_DATA_DIR`, else the user's data folder after the XDG rules."""
    share = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("OVERT_DATA_DIR") or Path(share) / "overt")


def default_cache_dir() -> Path:
    """`$OVERT_CACHE_DIR`, else the user's cache folder after the XDG rules: models, samples, the demo clip."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("OVERT_CACHE_DIR") or Path(cache) / "overt")
