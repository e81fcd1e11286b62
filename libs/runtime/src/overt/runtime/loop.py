"""The one loop: consume, decode, handle, produce, flush, commit; unreadable records go to a dead letter.

Nothing is in flight between two batches: a crash anywhere means that the batch comes back, never that it is
lost. So handlers must be idempotent: the same input gives the same keys and values again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

import structlog

from overt.runtime.broker import BrokerAway, BrokerError, CommitRefused, Consumer, Producer, Record
from overt.runtime.keys import KeyGone
from overt.runtime.loop_batch import Batch, Outage
from overt.runtime.loop_metrics import LoopMetrics

log = structlog.get_logger()

In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)
InT = TypeVar("InT")
OutT = TypeVar("OutT")


class Unavailable(Exception):
    """Something outside does not answer now (a database, a gallery, control); the text says what.

    Raised by a handler's adapter or by the wire: the loop keeps the batch and tries again.
    """


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
    """Policies as values. `bad_share` is judged over the last `bad_window` records.

    What is away is tried again after pauses that double from `first_pause_s` to `last_pause_s`, which bounds
    how late its return is noticed; after `give_up_s` the loop ends. `flush_timeout_s` bounds one wait for
    confirmations, and so how long the group hears nothing of this member.
    """

    max_batch: int = 32
    poll_timeout_s: float = 0.1
    flush_timeout_s: float = 5.0
    bad_share: float = 0.5
    bad_window: int = 100
    first_pause_s: float = 0.1
    last_pause_s: float = 2.0
    give_up_s: float = 300.0


class Loop(Generic[InT, OutT]):
    """Runs one handler over one consumer.

    `handle` gets the readable messages of a batch, also an empty one when nothing arrived, so that it can
    act on time passing; what it returns is produced and flushed before anything is committed. `tick` runs
    before each batch (a service reads its orders there). Neither may catch what it cannot mend: an
    exception ends the process and the batch comes back.

    While something is away (Unavailable, BrokerAway) the consumer is paused and polled, so that this member
    stays in its group, and the batch in hand is tried again where it broke off: an output that is made is
    sent once the keys or the broker are back, and `handle` is called again only if it was `handle` that
    raised. `tell` is told what keeps the loop from working, None when nothing does.
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
        tell: Callable[[str | None], None] = lambda _problem: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._wire = wire
        self._handle = handle
        self._metrics = metrics
        self._limits = limits
        self._tick = tick
        self._tell = tell
        self._monotonic_s = monotonic_s
        self._batch: Batch[InT, OutT] | None = None
        self._outage: Outage | None = None
        self._recent: deque[bool] = deque(maxlen=limits.bad_window)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set, finish the batch in hand and commit it, leave the group.

        A batch that can't be finished because something is away comes back. Raises as `step` does.
        """
        try:
            while not stop.is_set():
                self.step()
        finally:
            self._consumer.close()

    def step(self) -> int:
        """Do one batch, or try again; return how many records are done with.

        Raises TooManyBad, BrokerError, and Unavailable for what is away for too long.
        """
        self._tick()
        batch = self._batch = self._begin() if self._batch is None else self._hold(self._batch)
        self._metrics.watch(self._consumer)
        try:
            self._finish(batch)
        except (Unavailable, BrokerAway) as error:
            self._wait(error)
            return 0
        self._go_on()
        self._stop_if_too_many_bad()
        return batch.size

    def _begin(self) -> Batch[InT, OutT]:
        records = self._consumer.poll(self._limits.max_batch, self._limits.poll_timeout_s)
        self._metrics.begin(records)
        return Batch(len(records), deque(records))

    def _hold(self, batch: Batch[InT, OutT]) -> Batch[InT, OutT]:
        """Wait for a pause while staying in the group; return what of the batch is still ours."""
        assert self._outage is not None
        if self._consumer.poll(1, self._outage.pause_s):
            raise BrokerError("a paused consumer returned a record")
        batch.drop_moved(self._consumer.holds)
        return batch

    def _finish(self, batch: Batch[InT, OutT]) -> None:
        while batch.unread:
            batch.unconfirmed |= self._open(batch.unread[0], batch.read)
            batch.unread.popleft()
        self._produce_all(batch)
        if batch.unconfirmed:
            self._producer.flush(self._limits.flush_timeout_s)
            batch.unconfirmed = False
        self._metrics.end()
        if batch.size:
            self._commit()

    def _wait(self, error: Unavailable | BrokerAway) -> None:
        """Pause, once, and make the next pause longer. Raises `error` after give_up_s."""
        now_s, limits = self._monotonic_s(), self._limits
        if self._outage is None:
            self._consumer.pause()
            self._outage = Outage(now_s, limits.first_pause_s, str(error))
            log.warning("something is away, the batch waits", reason=str(error))
        elif now_s - self._outage.since_s >= limits.give_up_s:
            raise error
        else:
            pause_s = min(2 * self._outage.pause_s, limits.last_pause_s)
            self._outage = Outage(self._outage.since_s, pause_s, str(error))
        self._metrics.paused(yes=True)
        self._tell(str(error))

    def _go_on(self) -> None:
        self._batch = None
        if self._outage is not None:
            self._consumer.resume()
            away_s = round(self._monotonic_s() - self._outage.since_s, 1)
            log.info("it is back, the loop goes on", reason=self._outage.reason, away_s=away_s)
            self._outage = None
        self._metrics.paused(yes=False)
        self._tell(None if self._consumer.joined() else "waiting for partitions")

    def _open(self, record: Record, read: list[tuple[Record, InT]]) -> bool:
        """Add the message of `record` to `read`; return whether a dead letter was sent instead."""
        try:
            message = self._wire.open(record)
        except RecordRefused as error:
            self._recent.append(True)
            self._park(record, str(error))
            return True
        except KeyGone:
            # Older than its key: lawfully unreadable, nothing to keep.
            self._metrics.count(record.topic, "expired")
            return False
        self._recent.append(False)
        self._metrics.count(record.topic, "read")
        read.append((record, message))
        return False

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

    def _produce_all(self, batch: Batch[InT, OutT]) -> None:
        if batch.outs is None:
            batch.outs = iter(self._handle([message for _, message in batch.read]))
        while batch.unsealed or self._next(batch, batch.outs):
            batch.unconfirmed |= self._produce(batch.unsealed[0])
            batch.unsealed.pop()

    @staticmethod
    def _next(batch: Batch[InT, OutT], outs: Iterator[OutT]) -> bool:
        """Take the handler's next output; return whether there was one."""
        try:
            batch.unsealed.extend(islice(outs, 1))
        except Unavailable:
            batch.outs = None  # a generator that raised is over: the handler is called again
            raise
        return bool(batch.unsealed)

    def _produce(self, out: OutT) -> bool:
        try:
            addressed = self._wire.seal(out)
        except KeyGone:
            self._metrics.count("", "unsendable")
            return False
        self._producer.produce(addressed.topic, addressed.key, addressed.value)
        self._metrics.count(addressed.topic, "produced")
        return True

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
