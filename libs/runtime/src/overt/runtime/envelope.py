"""Seals payloads with AES-256-GCM so that a broker's disk holds only noise once the key is gone."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"OV1"
NONCE_BYTES = 12
KEY_BYTES = 32
MAX_KEY_ID_BYTES = 200


class NotSealed(ValueError):
    """The bytes are no sealed payload, or were changed, or belong to another topic, key or scope."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """One symmetric key. `scope` names what it belongs to (a deployment) and is authenticated.

    `not_after_s` is a UNIX time (UTC): after it the key is destroyed everywhere. None: until erasure.
    """

    key_id: str
    scope: str
    secret: bytes
    not_after_s: float | None

    def __repr__(self) -> str:
        """Never show the secret: reprs end up in logs."""
        return f"DataKey({self.key_id!r})"


def _associated_data(topic: str, record_key: bytes, scope: str) -> bytes:
    # Length prefixes keep ("ab", "c") and ("a", "bc") apart.
    parts = (topic.encode(), record_key, scope.encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def seal(
    plaintext: bytes,
    key: DataKey,
    *,
    topic: str,
    record_key: bytes,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """Return magic | key-id length | key id | nonce | ciphertext and tag.

    A random 96-bit nonce is safe for 2^32 payloads a key (NIST SP 800-38D 8.3); an epoch key of five
    minutes sees some thousands.
    """
    if not (key.key_id.isascii() and 0 < len(key.key_id) <= MAX_KEY_ID_BYTES):
        raise ValueError(f"key id must be 1 to {MAX_KEY_ID_BYTES} ASCII characters")
    key_id = key.key_id.encode()
    nonce = random_bytes(NONCE_BYTES)
    sealed = AESGCM(key.secret).encrypt(nonce, plaintext, _associated_data(topic, record_key, key.scope))
    return MAGIC + bytes([len(key_id)]) + key_id + nonce + sealed


def is_sealed(value: bytes) -> bool:
    """Whether `value` looks like something `seal` made (nothing is verified)."""
    return value.startswith(MAGIC)


def key_id_of(value: bytes) -> str:
    """Return the id of the key that `value` was sealed with. Raises NotSealed."""
    start = len(MAGIC) + 1
    if not is_sealed(value) or len(value) < start:
        raise NotSealed("payload is not sealed")
    end = start + value[start - 1]
    try:
        key_id = value[start:end].decode("ascii")
    except UnicodeDecodeError:
        raise NotSealed("payload names no readable key") from None
    if len(value) < end + NONCE_BYTES or not key_id:
        raise NotSealed("payload is cut short")
    return key_id


def unseal(value: bytes, key: DataKey, *, topic: str, record_key: bytes) -> bytes:
    """Return the plaintext. Raises NotSealed when anything was changed or the key is another one."""
    if key_id_of(value) != key.key_id:
        raise NotSealed("payload was sealed with another key")
    start = len(MAGIC) + 1 + len(key.key_id.encode())
    nonce, body = value[start : start + NONCE_BYTES], value[start + NONCE_BYTES :]
    try:
        return AESGCM(key.secret).decrypt(nonce, body, _associated_data(topic, record_key, key.scope))
    except InvalidTag:
        raise NotSealed("payload does not belong to this topic, key and deployment") from None
