"""Key files of the embedded default: 32 random bytes in base64, made once, readable by their owner only."""

import base64
import binascii
import os
import stat
from collections.abc import Callable
from pathlib import Path

from overt.control.errors import KeyFileUnsafe

SECRET_BYTES = 32


def decode_secret(text: str, what: str) -> bytes:
    """Return the 32 bytes that `text` holds in base64. Raises KeyFileUnsafe, without showing the text."""
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileUnsafe(f"{what} is not base64") from None
    if len(secret) != SECRET_BYTES:
        raise KeyFileUnsafe(f"{what} must hold {SECRET_BYTES} bytes in base64, holds {len(secret)}")
    return secret


def find_or_make(path: Path, *, random_bytes: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the secret in `path`; when there is no such file, make one with mode 0600.

    Two processes at once end with the same secret, and a crash leaves a whole file or none: the file is
    written beside and linked into place, which fails if it is already there. Raises KeyFileUnsafe.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{random_bytes(8).hex()}")
        _write_private(draft, base64.b64encode(random_bytes(SECRET_BYTES)) + b"\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        _sync_folder(path.parent)
    return _read_private(path)


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_private(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise KeyFileUnsafe(f"others can read the key file {path} (mode {mode:o}): run chmod 600 on it")
        text = file.read(200)
    return decode_secret(text.decode("ascii", "replace"), f"key file {path}")
