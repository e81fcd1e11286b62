"""One process per data folder: two would hold two sets of keys and overwrite each other's orders."""

import fcntl
import os
from pathlib import Path

from overt.control.errors import DataFolderBusy


class FolderLock:
    """An advisory lock on a file of the folder; the kernel lets go of it when the process dies."""

    def __init__(self, folder: Path, name: str = "control.lock") -> None:
        """Make the folder if it is missing and take the lock. Raises DataFolderBusy."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise DataFolderBusy(
                f"another process uses the data folder {folder}: stop it, or give another folder"
            ) from None

    def release(self) -> None:
        """Let go; a second time changes nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
