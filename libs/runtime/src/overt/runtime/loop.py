"""The one loop: consume, decode, handle, produce, flush, commit; unreadable records go to a dead letter.

Nothing is in flight between two polls: a crash anywhere means that the batch comes back, never that it is
lost. So handlers must be idempotent: the same input gives the same keys and values again.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from overt.runtime.broker import CommitRefused, Consumer, Producer, Record
from overt.runtime.keys import KeyGone
from overt.runtime.loop_metrics import LoopMetrics

log = structlog.get_logger()

In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)
InT = TypeVar("InT")
OutT = TypeVar("OutT")


class RecordRefused(ValueError):
    """A record that can't be read; the text says why and holds nothing of its content."""


class TooManyBad(RuntimeError):
    """So many records are unreadable that something upstream is broken: better to stop than to drain it."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """Bytes and where they go."""

    topic: str
    key: bytes
    value: bytes | None


class Wire(Protocol[In_co, Out_contra]):
    """Between bytes and messages: `overt.contracts.wire` is the one that exists."""

    def open(self, record: Record) -> In_co:
        """Return the message of `record`. Raises RecordRefused, or KeyGone when its key was destroyed."""

    def seal(self, out: Out_contra) -> Addressed:
        """Return the bytes of an output. Raises KeyGone when its deployment is closed."""

    def dead_letter(self, record: Record, reason: str) -> Addressed:
        """Return the dead letter of a record that can't be read."""


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """Policies as values. `bad_share` is judged over the last `bad_window` records."""

    max_batch: int = 32
    poll_timeout_s: float = 0.1
    flush_timeout_s: float = 30.0
    bad_share: float = 0.5
    bad_window: int = 100


class Loop(Generic[InT, OutT]):
    """Runs one handler over one consumer.

    `handle` gets the readable messages of a batch, also an empty one when nothing arrived, so that it can
    act on time passing; what it returns is produced and flushed before anything is committed. `tick` runs
    before each batch (a service reads its orders there). Neither may catch what it cannot mend: an
    exception ends the process and the batch comes back.
    """

    def __init__(  # noqa: PLR0913 - the parts of a loop, each given once, in __main__
        self,
        *,
        consumer: Consumer,
        producer: Producer,
        wire: Wire[InT, OutT],
        handle: Callable[[Sequence[InT]], Iterable[OutT]],
        metrics: LoopMetrics,
        limits: LoopLimits = LoopLimits(),
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._wire = wire
        self._handle = handle
        self._metrics = metrics
        self._limits = limits
        self._tick = tick
        self._recent: deque[bool] = deque(maxlen=limits.bad_window)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set, finish the batch in hand, commit it, leave the group."""
        try:
            while not stop.is_set():
                self.step()
        finally:
            self._consumer.close()

    def step(self) -> int:
        """Do one batch and return how many records it had. Raises TooManyBad, BrokerError."""
        self._tick()
        records = self._consumer.poll(self._limits.max_batch, self._limits.poll_timeout_s)
        with self._metrics.time_batch(len(records)):
            messages = [message for record in records for message in self._open(record)]
            produced = 0
            for out in self._handle(messages):
                produced += self._produce(out)
            if produced or len(messages) < len(records):
                self._producer.flush(self._limits.flush_timeout_s)
        if records:
            self._commit()
        self._stop_if_too_many_bad()
        return len(records)

    def _open(self, record: Record) -> Iterable[InT]:
        try:
            message = self._wire.open(record)
        except RecordRefused as error:
            self._recent.append(True)
            self._park(record, str(error))
            return
        except KeyGone:
            # Older than its key: lawfully unreadable, nothing to keep.
            self._metrics.count(record.topic, "expired")
            return
        self._recent.append(False)
        self._metrics.count(record.topic, "read")
        yield message

    def _park(self, record: Record, reason: str) -> None:
        letter = self._wire.dead_letter(record, reason)
        self._producer.produce(letter.topic, letter.key, letter.value)
        self._metrics.count(record.topic, "dead")
        log.warning(
            "record is unreadable and was parked",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )

    def _produce(self, out: OutT) -> int:
        try:
            addressed = self._wire.seal(out)
        except KeyGone:
            self._metrics.count("", "unsendable")
            return 0
        self._producer.produce(addressed.topic, addressed.key, addressed.value)
        self._metrics.count(addressed.topic, "produced")
        return 1

    def _commit(self) -> None:
        try:
            self._consumer.commit()
        except CommitRefused as error:
            self._metrics.count("", "commit_refused")
            log.warning("commit refused, another member redoes the batch", reason=str(error))

    def _stop_if_too_many_bad(self) -> None:
        bad = sum(self._recent)
        full = len(self._recent) == self._limits.bad_window
        if full and bad > self._limits.bad_share * self._limits.bad_window:
            raise TooManyBad(f"{bad} of the last {self._limits.bad_window} records are unreadable")
