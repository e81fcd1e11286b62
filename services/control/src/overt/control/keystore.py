"""Lasting keys: made at random, stored wrapped by a key-encryption key, found again after a restart."""

import os
from collections.abc import Callable
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import CursorResult, Engine, delete, select
from sqlalchemy.orm import Session

from overt.control.database import scrub
from overt.control.errors import WrongKek
from overt.control.tables import KeyRow
from overt.runtime.envelope import KEY_BYTES, NONCE_BYTES, DataKey


class KeyStore:
    """Holds lasting keys by scope. A wrapped key is bound to its scope and id: rows can't be swapped.

    Wrapping is AES-256-GCM with a random nonce (NIST SP 800-38D); AES key wrap (RFC 3394) can't
    authenticate the scope beside the key.
    """

    def __init__(
        self, engine: Engine, kek: bytes, *, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._engine = engine
        self._cipher = AESGCM(kek)
        self._random_bytes = random_bytes

    def find(self, scope: str) -> DataKey | None:
        """Return the key of `scope`, or None. Raises WrongKek."""
        with Session(self._engine) as session:
            row = session.get(KeyRow, scope)
            return None if row is None else self._unwrap(row)

    def find_or_make(self, scope: str) -> DataKey:
        """Return the key of `scope`, made and stored first if there is none. Raises WrongKek."""
        found = self.find(scope)
        return found if found is not None else self._make(scope)

    def scopes(self) -> tuple[str, ...]:
        """Every scope that has a key."""
        with Session(self._engine) as session:
            return tuple(session.scalars(select(KeyRow.scope).order_by(KeyRow.scope)))

    def verify(self) -> None:
        """Open every stored key once, so that a wrong key-encryption key is noticed at the start."""
        with Session(self._engine) as session:
            for row in session.scalars(select(KeyRow)):
                self._unwrap(row)

    def forget(self, scope: str) -> bool:
        """Destroy the key of `scope`: what it sealed is noise from now on. Returns whether there was one."""
        with Session(self._engine) as session, session.begin():
            result = session.execute(delete(KeyRow).where(KeyRow.scope == scope))
            gone = cast("CursorResult[tuple[()]]", result).rowcount > 0
        scrub(self._engine)
        return gone

    def _make(self, scope: str) -> DataKey:
        key = DataKey(
            key_id=f"{scope}/lasting/{self._random_bytes(8).hex()}",
            scope=scope,
            secret=self._random_bytes(KEY_BYTES),
            not_after_s=None,
        )
        nonce = self._random_bytes(NONCE_BYTES)
        wrapped = nonce + self._cipher.encrypt(nonce, key.secret, _binding(scope, key.key_id))
        with Session(self._engine) as session, session.begin():
            session.add(KeyRow(scope=scope, key_id=key.key_id, wrapped=wrapped))
        return key

    def _unwrap(self, row: KeyRow) -> DataKey:
        nonce, body = row.wrapped[:NONCE_BYTES], row.wrapped[NONCE_BYTES:]
        try:
            secret = self._cipher.decrypt(nonce, body, _binding(row.scope, row.key_id))
        except InvalidTag:
            raise WrongKek(
                f"the key-encryption key does not open the key of {row.scope}: "
                "it is another one, or the stored key was changed"
            ) from None
        return DataKey(row.key_id, row.scope, secret, None)


def _binding(scope: str, key_id: str) -> bytes:
    # Neither part holds a NUL, so two pairs can't give the same bytes.
    return f"overt wrapped key v1\x00{scope}\x00{key_id}".encode()
