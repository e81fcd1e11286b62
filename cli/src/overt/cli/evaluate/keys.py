"""The key that vouches for evidence: an Ed25519 pair in PEM, the private part for its owner only."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from overt.cli.evaluate.errors import EvaluationRefused


def make_key(path: Path) -> Path:
    """Write a new private key to `path` (mode 0600) and its public one beside it; return the latter's path.

    Raises EvaluationRefused when either is there already: a key that signed records is not replaced.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public_path = path.with_name(f"{path.name}.pub")
    if public_path.exists():
        raise EvaluationRefused(f"{public_path} is there already: name another file")
    _write_new(path, private, 0o600)
    _write_new(public_path, public, 0o644)
    return public_path


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a PEM file. Raises EvaluationRefused: others can read it, or it is none."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(10_000)
    except OSError as error:
        raise EvaluationRefused(f"{path} can't be read: {error.strerror}") from None
    if mode & 0o077:
        raise EvaluationRefused(f"others can read the key file {path} (mode {mode:o}): run chmod 600 on it")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise EvaluationRefused(f"{path} holds no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise EvaluationRefused(
            f"{path} holds a key of another kind than Ed25519: `overt evaluate key` makes one"
        )
    return key


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise EvaluationRefused(f"{path} can't be made: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
