"""The topics: one table that documents, creates, seals and checks them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, get_args

from overt.contracts.events import AnyAlertEvent
from overt.contracts.messages import (
    AuditHead,
    CaptureEnded,
    DeadLetter,
    FaceFound,
    FrameCaptured,
    MatchMade,
    TemplateMade,
)
from overt.contracts.orders import SignedOrder
from overt.runtime.envelope import MAGIC, MAX_KEY_ID_BYTES, NONCE_BYTES

DEAD_SUFFIX = ".dead"
TAG_BYTES = 16
# What sealing adds at most: see overt.runtime.envelope.seal.
MAX_SEAL_BYTES = len(MAGIC) + 1 + MAX_KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES
# What a dead letter says beside the bytes it keeps: a reason of 500 characters, names, a hash.
MAX_LETTER_BYTES = 4_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `sealed`: which kind of data key its payloads are sealed with, None for plain.

    `retention_s` None means compacted: the newest record of each key stays. `message` is the type, or the
    union of types, that may stand on it. `max_bytes` bounds the encoded message.
    """

    name: str
    key: str
    message: type[Any] | UnionType
    retention_s: int | None
    encoding: Literal["msgpack", "json"]
    sealed: Literal["epoch", "lasting"] | None
    max_bytes: int
    partitions: int
    readers: tuple[str, ...]

    @property
    def dead(self) -> str:
        """Where unreadable records of this topic go."""
        return self.name + DEAD_SUFFIX

    @property
    def max_value_bytes(self) -> int:
        """How large the value of a record may be: the message, and what sealing adds."""
        return self.max_bytes if self.sealed is None else self.max_bytes + MAX_SEAL_BYTES

    @property
    def messages(self) -> tuple[type[Any], ...]:
        """The types that may stand on it."""
        return get_args(self.message) if isinstance(self.message, UnionType) else (self.message,)


FRAMES = Topic(
    "frames.v1", "camera id", FrameCaptured | CaptureEnded, 60, "msgpack", "epoch", 8_400_000, 8, ("detect",)
)
FACES = Topic("faces.v1", "camera id", FaceFound, 60, "msgpack", "epoch", 8_400_000, 8, ("embed",))
TEMPLATES = Topic("templates.v1", "camera id", TemplateMade, 60, "msgpack", "epoch", 8_400_000, 8, ("match",))
MATCHES = Topic(
    "matches.v1", "deployment id/entry id", MatchMade, 86_400, "msgpack", "lasting", 8_400_000, 4, ("alerts",)
)
ALERTS = Topic(
    "alerts.v1",
    "alert id",
    AnyAlertEvent,
    7 * 86_400,
    "json",
    None,
    64_000,
    4,
    ("control-room consumers",),
)
DEPLOYMENTS = Topic(
    "deployments.v1",
    "deployment id",
    SignedOrder,
    None,
    "msgpack",
    None,
    64_000,
    1,
    ("ingest", "detect", "embed", "match", "alerts"),
)
AUDIT = Topic("audit.v1", "chain id", AuditHead, None, "msgpack", None, 64_000, 1, ("auditors",))

TOPICS: Mapping[str, Topic] = {
    topic.name: topic for topic in (DEPLOYMENTS, FRAMES, FACES, TEMPLATES, MATCHES, ALERTS, AUDIT)
}


def dead_letter_topic(source: Topic) -> Topic:
    """The dead-letter topic of `source`: same key, retention and partitions; what it holds is still sealed."""
    return Topic(
        name=source.dead,
        key=source.key,
        message=DeadLetter,
        retention_s=source.retention_s or 7 * 86_400,
        encoding="msgpack",
        sealed=None,
        max_bytes=source.max_value_bytes + MAX_LETTER_BYTES,
        partitions=source.partitions,
        readers=("operators",),
    )
