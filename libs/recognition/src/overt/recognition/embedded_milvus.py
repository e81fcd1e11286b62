"""Milvus Lite inside this process: one server a data folder, shared, reachable by this user alone."""

import contextlib
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc  # type: ignore[import-untyped]
from milvus_lite import DataDirLockedError, MilvusLite  # type: ignore[import-untyped]
from milvus_lite.adapter.grpc.servicer import MilvusServicer  # type: ignore[import-untyped]
from pymilvus.grpc_gen import milvus_pb2_grpc  # type: ignore[import-untyped]

from overt.recognition.errors import GalleryUnavailable

WORKERS = 4
MAX_MESSAGE_BYTES = 256 << 20
GRACE_S = 2.0
# How Milvus Lite lays out its folder; a collection is one as long as its schema is there.
COLLECTIONS, SCHEMA = "collections", "schema.json"


@dataclass(slots=True)
class _Running:
    database: MilvusLite
    server: grpc.Server
    socket_dir: Path
    users: int = 0

    @property
    def uri(self) -> str:
        return f"unix:{self.socket_dir / 'milvus'}"


_lock = threading.Lock()
_running: dict[Path, _Running] = {}


def open_folder(folder: Path) -> str:
    """Return the address of the server over `folder`, started if need be. Each call needs a `close_folder`.

    The address is a socket in a folder of mode 0700: Milvus Lite asks nobody for a password, and a port on
    the loopback is open to every user of the machine. Raises GalleryUnavailable: another process has it.
    """
    folder = folder.resolve()
    with _lock:
        if folder not in _running:
            _running[folder] = _start(folder)
        _running[folder].users += 1
        return _running[folder].uri


def close_folder(folder: Path) -> None:
    """Give the folder back; the last one to do so stops the server, and all is on disk."""
    folder = folder.resolve()
    with _lock:
        running = _running[folder]
        running.users -= 1
        if running.users > 0:
            return
        del _running[folder]
    running.server.stop(GRACE_S).wait()
    running.database.close()
    shutil.rmtree(running.socket_dir, ignore_errors=True)


def remove_leftovers(folder: Path, collection: str) -> None:
    """Delete what a dropped collection left on disk: nothing, unless its drop was interrupted.

    Raises GalleryUnavailable when the files can't be deleted.
    """
    path = folder / COLLECTIONS / collection
    try:
        if path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise GalleryUnavailable(f"files of a dropped list can't be deleted: {error.strerror}") from error


def _remove_interrupted(folder: Path) -> None:
    """Delete collections that Milvus Lite no longer knows: a drop that a crash cut off left vectors there."""
    for path in (folder / COLLECTIONS).iterdir():
        if not (path / SCHEMA).exists():
            remove_leftovers(folder, path.name)


def _start(folder: Path) -> _Running:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        database = MilvusLite(str(folder))
    except DataDirLockedError as error:
        raise GalleryUnavailable(f"another process has the gallery in {folder} open") from error
    except OSError as error:
        raise GalleryUnavailable(f"the gallery in {folder} can't be opened: {error.strerror}") from error
    with contextlib.ExitStack() as undo:
        undo.callback(database.close)
        _remove_interrupted(folder)
        # Not beside the data: the path of a socket has about 100 bytes.
        socket_dir = Path(tempfile.mkdtemp(prefix="overt-milvus-"))
        undo.callback(shutil.rmtree, socket_dir, ignore_errors=True)
        server = grpc.server(
            ThreadPoolExecutor(WORKERS, thread_name_prefix="milvus"),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ],
        )
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
        running = _Running(database, server, socket_dir)
        server.add_insecure_port(running.uri)
        server.start()
        undo.pop_all()
    return running
