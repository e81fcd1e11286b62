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

# Each is a process with a user of its own at Kafka and a consumer group, both named like the service.
SERVICES = ("ingest", "detect", "embed", "match", "control", "alerts")
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
    union of types, that may stand on it. `max_bytes` bounds the encoded message. `readers` and `writers` are
    services, by name, or people and systems outside, in words.
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
    writers: tuple[str, ...]

    @property
    def dead(self) -> str:
        """Where unreadable records of this topic go."""
        return self.name + DEAD_SUFFIX

    @property
    def is_table(self) -> bool:
        """Whether its readers read it whole from the beginning, without a consumer group or dead letters."""
        return self.retention_s is None

    @property
    def max_value_bytes(self) -> int:
        """How large the value of a record may be: the message, and what sealing adds."""
        return self.max_bytes if self.sealed is None else self.max_bytes + MAX_SEAL_BYTES

    @property
    def messages(self) -> tuple[type[Any], ...]:
        """The types that may stand on it."""
        return get_args(self.message) if isinstance(self.message, UnionType) else (self.message,)


@dataclass(frozen=True, slots=True)
class Changelog:
    """Where a stream keeps what it has folded, so that it has it again after a restart.

    No message of the contract: the one service `owner` reads and writes it. As many partitions as `source`,
    since a worker that is given a partition of one takes over the same partition of the other.
    """

    name: str
    source: Topic
    owner: str
    retention_s: int
    max_bytes: int


FRAMES = Topic(
    name="frames.v1",
    key="camera id",
    message=FrameCaptured | CaptureEnded,
    retention_s=60,
    encoding="msgpack",
    sealed="epoch",
    max_bytes=8_400_000,
    partitions=8,
    readers=("detect",),
    writers=("ingest",),
)
FACES = Topic(
    name="faces.v1",
    key="camera id",
    message=FaceFound,
    retention_s=60,
    encoding="msgpack",
    sealed="epoch",
    max_bytes=8_400_000,
    partitions=8,
    readers=("embed",),
    writers=("detect",),
)
TEMPLATES = Topic(
    name="templates.v1",
    key="camera id",
    message=TemplateMade,
    retention_s=60,
    encoding="msgpack",
    sealed="epoch",
    max_bytes=8_400_000,
    partitions=8,
    readers=("match",),
    writers=("embed",),
)
MATCHES = Topic(
    name="matches.v1",
    key="deployment id/entry id",
    message=MatchMade,
    retention_s=86_400,
    encoding="msgpack",
    sealed="lasting",
    max_bytes=8_400_000,
    partitions=4,
    readers=("alerts",),
    writers=("match",),
)
ALERTS = Topic(
    name="alerts.v1",
    key="alert id",
    message=AnyAlertEvent,
    retention_s=7 * 86_400,
    encoding="json",
    sealed=None,
    max_bytes=64_000,
    partitions=4,
    readers=("control-room consumers",),
    writers=("alerts",),
)
DEPLOYMENTS = Topic(
    name="deployments.v1",
    key="deployment id",
    message=SignedOrder,
    retention_s=None,
    encoding="msgpack",
    sealed=None,
    max_bytes=64_000,
    partitions=1,
    readers=("ingest", "detect", "embed", "match", "alerts"),
    writers=("control",),
)
AUDIT = Topic(
    name="audit.v1",
    key="chain id",
    message=AuditHead,
    retention_s=None,
    encoding="msgpack",
    sealed=None,
    max_bytes=64_000,
    partitions=1,
    readers=("auditors",),
    writers=("alerts",),
)

TOPICS: Mapping[str, Topic] = {
    topic.name: topic for topic in (DEPLOYMENTS, FRAMES, FACES, TEMPLATES, MATCHES, ALERTS, AUDIT)
}

# Faust writes it: digests of the matches that a window has recorded. Past their retention none can come back.
ALERT_WINDOWS = Changelog("alert-windows.v1", MATCHES, "alerts", 86_400, 64_000)
CHANGELOGS = (ALERT_WINDOWS,)


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
        writers=tuple(name for name in source.readers if name in SERVICES and not source.is_table),
    )
