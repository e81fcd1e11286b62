"""Reads evidence records and the key they are trusted by from files."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from overt.contracts.evidence import MAX_FILE_BYTES, Evidence, EvidenceRefused, verify_evidence

MAX_KEY_BYTES = 10_000


def read_evidence(record: Path, public_key: Path) -> Evidence:
    """Return the record in a file that the key in a PEM file signed. Raises EvidenceRefused, naming the file."""
    key = read_public_key(public_key)
    try:
        return verify_evidence(_content(record, MAX_FILE_BYTES), key)
    except EvidenceRefused as refused:
        raise EvidenceRefused(f"{record}: {refused}") from None


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return the Ed25519 public key in a PEM file. Raises EvidenceRefused."""
    content = _content(path, MAX_KEY_BYTES)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise EvidenceRefused(f"{path} holds no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise EvidenceRefused(f"{path} holds a key of another kind than Ed25519")
    return key


def _content(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise EvidenceRefused(f"{path} can't be read: {error.strerror}") from None
    if len(content) > limit:
        raise EvidenceRefused(f"{path} is larger than {limit} bytes")
    return content
