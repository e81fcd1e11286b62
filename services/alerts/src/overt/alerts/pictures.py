"""Seals an alert's pictures, and makes the short-lived links through which one session may see them."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from overt.alerts.references import EntryCard
from overt.alerts.tables import PictureRow
from overt.contracts.messages import Shot
from overt.runtime.envelope import key_id_of, seal, unseal
from overt.runtime.keys import KeySource

PictureKind = Literal["portrait", "context", "reference"]
BlobKind = Literal["portrait", "context", "reference", "card"]
PICTURE_KINDS: tuple[PictureKind, ...] = ("portrait", "context", "reference")
SEAL_TOPIC = "alerts.pictures"


class CardText(msgspec.Struct, frozen=True):
    """Who the entry is, sealed like a picture: a name is as telling as a face."""

    label: str
    category: str


class Vault:
    """Seals with the deployment's lasting key and opens again. Raises KeyGone once that was destroyed."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys

    def seal(self, deployment_id: str, alert_id: str, blobs: Mapping[BlobKind, bytes]) -> list[PictureRow]:
        """Return rows that hold `blobs`, each bound to its alert and kind."""
        key = self._keys.current(deployment_id, "lasting")
        return [
            PictureRow(
                alert_id=alert_id,
                kind=kind,
                sealed=seal(plain, key, topic=SEAL_TOPIC, record_key=f"{alert_id}/{kind}".encode()),
            )
            for kind, plain in blobs.items()
        ]

    def open(self, row: PictureRow) -> bytes:
        """Return the plain bytes. Raises KeyGone, NotSealed for a blob that was changed or moved."""
        key = self._keys.by_id(key_id_of(row.sealed))
        return unseal(row.sealed, key, topic=SEAL_TOPIC, record_key=f"{row.alert_id}/{row.kind}".encode())


def shot_blobs(shot: Shot) -> dict[BlobKind, bytes]:
    """Return what an alert keeps of a shot. The aligned crop and the landmarks are not among it."""
    return {"portrait": shot.portrait_jpeg, "context": shot.context_jpeg}


def card_blobs(card: EntryCard) -> dict[BlobKind, bytes]:
    """Return what an alert keeps of the entry's card."""
    text = msgspec.json.encode(CardText(card.label, card.category))
    return {"reference": card.picture_jpeg, "card": text}


def picture_version(kind: str, probe_hash: str) -> str:
    """Return what changes when the picture does: the probe's pictures are replaced, the reference is not."""
    return "card" if kind == "reference" else probe_hash[:16]


def read_card(plain: bytes) -> CardText:
    """Undo `card_blobs`."""
    return msgspec.json.decode(plain, type=CardText)


@dataclass(frozen=True, slots=True)
class PictureName:
    """Which picture; `version` changes when a better probe replaces it."""

    alert_id: str
    kind: str
    version: str


@dataclass(frozen=True, slots=True)
class PictureLink:
    """A link as it comes back from a browser."""

    name: PictureName
    until_s: int
    signature: str


class PictureLinks:
    """Signs and checks links: for one session, for one picture, for a short time.

    Links made within `ttl_s` are equal, so that a page which is drawn again asks for no picture twice; one
    lives between `ttl_s` and twice that.
    """

    def __init__(self, secret: bytes, ttl_s: int) -> None:
        self._secret = secret
        self._ttl_s = ttl_s

    def sign(self, session_id: str, name: PictureName, now_s: float) -> str:
        """Return the path and query of `name` for this session."""
        expires_s = (int(now_s) // self._ttl_s + 2) * self._ttl_s
        signature = self._signature(session_id, name, expires_s)
        return f"/pictures/{name.alert_id}/{name.kind}?v={name.version}&until={expires_s}&sig={signature}"

    def is_valid(self, session_id: str, link: PictureLink, now_s: float) -> bool:
        """Whether the link was made for this session and still lives."""
        expected = self._signature(session_id, link.name, link.until_s)
        return hmac.compare_digest(expected.encode(), link.signature.encode()) and now_s < link.until_s

    def _signature(self, session_id: str, name: PictureName, until_s: int) -> str:
        parts: Iterable[str] = (session_id, name.alert_id, name.kind, name.version, str(until_s))
        return hmac.new(self._secret, "\n".join(parts).encode(), hashlib.sha256).hexdigest()
