"""Takes one record of matches.v1 after another for the stream, patiently, in one thread."""

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import structlog

from overt.alerts.intake import Intake
from overt.alerts.patience import AWAY, Patience
from overt.contracts.context import Context, Orders
from overt.contracts.messages import MatchMade
from overt.contracts.topics import MATCHES
from overt.contracts.wire import TopicWire
from overt.runtime.broker import Record
from overt.runtime.keys import KeyGone
from overt.runtime.loop import LoopLimits, RecordRefused, TooManyBad

log = structlog.get_logger()

T = TypeVar("T")


class Taker:
    """Opens, parks and records. What is away is waited for; see Patience for what is raised."""

    def __init__(self, context: Context, intake: Intake, orders: Orders, *, limits: LoopLimits) -> None:
        self._wire: TopicWire[MatchMade] = TopicWire(MATCHES, context.keys)
        self._producer = context.broker.producer()
        self._intake = intake
        self._orders = orders
        self._metrics = context.loops.for_service("alerts", context.clock.now_s)
        self._patience = Patience("matches", context.health, context.clock)
        self._limits = limits
        self._recent: deque[bool] = deque(maxlen=limits.bad_window)

    def open(self, record: Record, stop: threading.Event) -> MatchMade | None:
        """Return the match; None for what can't be read: its dead letter is confirmed. Raises TooManyBad."""
        self._metrics.begin([record])
        match = self._until_done(lambda: self._open(record), stop)
        if match is None:
            self._metrics.idle()
        return match

    def take(self, match: MatchMade, stop: threading.Event) -> bool:
        """Record the match; return whether the database has it, else it was refused for good."""
        recorded = self._until_done(lambda: self._take(match), stop)
        self._metrics.end()
        self._metrics.idle()
        return recorded

    def pass_over(self) -> None:
        """Count a match that has been recorded before."""
        self._intake.count_repeated()
        self._metrics.idle()

    def tell_lag(self, matches: int) -> None:
        """Tell the metrics how many matches wait."""
        self._metrics.lag(MATCHES.name, matches)

    def tell_expired(self, matches: int) -> None:
        """Tell the metrics how many matches retention took before anybody came to them."""
        self._metrics.expired(MATCHES.name, matches)

    def _until_done(self, action: Callable[[], T], stop: threading.Event) -> T:
        def attempt() -> T:
            self._metrics.age()
            try:
                done = action()
            except AWAY:
                self._metrics.paused(yes=True)
                raise
            self._metrics.paused(yes=False)
            return done

        return self._patience.until_done(attempt, stop)

    def _take(self, match: MatchMade) -> bool:
        self._orders.feed.poll()
        return self._intake.take(match)

    def _open(self, record: Record) -> MatchMade | None:
        try:
            match = self._wire.open(record)
        except RecordRefused as error:
            self._park(record, str(error))
            return None
        except KeyGone:
            # Older than its key: lawfully unreadable, nothing to keep.
            self._metrics.count(record.topic, "expired")
            return None
        self._recent.append(False)
        self._metrics.count(record.topic, "read")
        return match

    def _park(self, record: Record, reason: str) -> None:
        letter = self._wire.dead_letter(record, reason)
        self._producer.produce(letter.topic, letter.key, letter.value)
        self._producer.flush(self._limits.flush_timeout_s)
        self._metrics.count(record.topic, "dead")
        log.warning(
            "record is unreadable and was parked",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        self._recent.append(True)
        window, bad = self._limits.bad_window, sum(self._recent)
        if len(self._recent) == window and bad > self._limits.bad_share * window:
            raise TooManyBad(f"{bad} of the last {window} records are unreadable")
