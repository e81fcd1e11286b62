"""What the loop asks of a broker; `kafka.py` and `memory.py` are the two that exist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class BrokerError(Exception):
    """The broker failed or refused.

    BrokerError
    ├── AccessRefused    whoever is logged in may not do what is needed
    ├── LoginRefused     it does not let this user in
    ├── BrokerAway       it did not answer in time: ask again, nothing is lost yet
    ├── Undelivered      a produced record was not confirmed: nothing after it may be committed
    │   └── Unconfirmed  (also a BrokerAway) it is still on its way: flush again, don't produce it again
    └── CommitRefused    the group moved the partition to another member; the batch comes back there
    """


class AccessRefused(BrokerError):
    """Whoever is logged in may not do what is needed; the text names the user and each topic or group."""


class LoginRefused(BrokerError):
    """The cluster does not let this user in: an unknown user or a wrong password."""


class BrokerAway(BrokerError):
    """The broker did not answer in time; the same may be asked again."""


class Undelivered(BrokerError):
    """A produced record was not confirmed: nothing after it may be committed."""


class Unconfirmed(Undelivered, BrokerAway):
    """Produced records are not confirmed yet: the producer goes on trying, so flush again."""


class CommitRefused(BrokerError):
    """Offsets were not committed because the group rebalanced: another member redoes the batch."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the broker holds it. `timestamp_ms` is the broker's, UTC."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    timestamp_ms: int


class Consumer(Protocol):
    """A member of one consumer group. Not safe to share between threads."""

    def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """Return up to `max_records`, as soon as there is one; empty after `timeout_s` without any."""

    def commit(self) -> None:
        """Commit everything returned by `poll` so far. Raises CommitRefused, or BrokerAway: commit again.

        When some of it moved to another member, that comes back there; what stayed is committed or comes
        back here. What moved is refused if it was of the batch in hand: a `poll` that is not paused begins
        the next one.
        """

    def pause(self) -> None:
        """From now on `poll` returns nothing; it is to be called all the same, to stay in the group."""

    def resume(self) -> None:
        """Go on where `pause` stopped, or where partitions that came meanwhile were committed last."""

    def holds(self, record: Record) -> bool:
        """Whether `record`, of the batch in hand, is still this member's to commit."""

    def joined(self) -> bool:
        """Whether the group has given this member its partitions, maybe none, and not dropped it since."""

    def lag(self) -> Mapping[str, int]:
        """Return by topic how many records wait on this member's partitions, as far as is known here."""

    def expired(self) -> Mapping[str, int]:
        """Return by topic how many records went by age before the group came to them, since the last call.

        They are noticed with the record that comes after them.
        """

    def close(self) -> None:
        """Leave the group without committing."""


class TableReader(Protocol):
    """Reads a whole compacted topic from its beginning, outside any group."""

    def poll(self) -> Sequence[Record]:
        """Return what has arrived since the last call, without waiting."""

    def caught_up(self) -> bool:
        """Whether everything that was there when the reader was opened has been returned."""

    def close(self) -> None:
        """Stop reading."""


class Producer(Protocol):
    """Sends records; safe to share between threads."""

    def produce(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Hand over one record. Blocks while the send queue is full: that is the back-pressure."""

    def flush(self, timeout_s: float) -> None:
        """Wait until everything this thread handed over is confirmed.

        Raises Undelivered, once for each loss, and Unconfirmed for what is still on its way.
        """

    def close(self) -> None:
        """Flush what is left, then disconnect."""


class Broker(Protocol):
    """Makes consumers, producers and table readers on one cluster."""

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """Join `group` for `topics`, starting at the earliest record the group has not committed."""

    def producer(self) -> Producer:
        """Connect a producer, warmed up: its first record is not slower than its second."""

    def table(self, topic: str) -> TableReader:
        """Read `topic` from its beginning; the first poll returns all that is there now."""
