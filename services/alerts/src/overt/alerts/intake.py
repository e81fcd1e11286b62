"""Takes matches from the loop: checks each against its order, folds it in, counts what it did."""

from collections.abc import Iterable, Sequence

import structlog

from overt.alerts.core import Change, Raised, Strengthened
from overt.alerts.live import Pulse
from overt.alerts.metrics import AlertMetrics
from overt.alerts.recording import Recorder
from overt.alerts.store import Store
from overt.contracts.messages import MatchMade
from overt.contracts.orders import Order, OrderBook
from overt.contracts.wire import Out
from overt.runtime.clock import Clock
from overt.runtime.keys import KeyGone
from overt.runtime.loop import Unavailable

log = structlog.get_logger()

# Orders come over another connection than matches, which may be late after a cut or a freeze: without an
# order a match would be dropped for good.
ORDER_PATIENCE_S = 15.0
REFUSED = frozenset({"no_order", "outside_order", "key_gone"})


class Intake:
    """The handler of the loop. Idempotent: a batch that comes back changes nothing."""

    def __init__(  # noqa: PLR0913 - the parts of one handler, each given once, in service.py
        self,
        *,
        book: OrderBook,
        store: Store,
        recorder: Recorder,
        pulse: Pulse,
        metrics: AlertMetrics,
        clock: Clock,
    ) -> None:
        self._book = book
        self._store = store
        self._recorder = recorder
        self._pulse = pulse
        self._metrics = metrics
        self._clock = clock
        self._unknown_since_s: dict[str, float] = {}  # of deployments whose order has not arrived

    def handle(self, matches: Sequence[MatchMade]) -> Iterable[Out]:
        """Store what the matches change. What is to be published goes through the outbox, not back.

        Raises Unavailable as `take` does.
        """
        # Of all of them first: what comes back was not counted yet.
        for match in matches:
            self._await_order(match)
        for match in matches:
            self._admit(match)
        return ()

    def take(self, match: MatchMade) -> bool:
        """Store what `match` changes; return whether the database has it, else it was refused for good.

        Raises Unavailable while its order has not arrived, at most 15 s for each deployment; DatabaseAway.
        """
        self._await_order(match)
        return self._admit(match)

    def count_repeated(self) -> None:
        """Count a match that is known to have been stored before."""
        self._metrics.matches.labels("repeated").inc()

    def _await_order(self, match: MatchMade) -> None:
        deployment_id, now_s = match.deployment_id, self._clock.monotonic_s()
        if deployment_id in self._book.known():
            self._unknown_since_s.pop(deployment_id, None)
        elif now_s - self._unknown_since_s.setdefault(deployment_id, now_s) < ORDER_PATIENCE_S:
            raise Unavailable("the order of a match has not arrived yet")

    def _admit(self, match: MatchMade) -> bool:
        refused = refusal(match, self._book.known().get(match.deployment_id))
        outcome = refused or self._record(match)
        self._metrics.matches.labels(outcome).inc()
        if outcome not in REFUSED:
            return True
        log.warning("match dropped", deployment_id=match.deployment_id, reason=outcome)
        return False

    def _record(self, match: MatchMade) -> str:
        try:
            with self._store.write() as session:
                changes = self._recorder.record(session, match)
        except KeyGone:
            return "key_gone"
        if not changes:
            return "repeated"
        self._pulse.beat()
        return self._count(match, changes[0])

    def _count(self, match: MatchMade, change: Change) -> str:
        if isinstance(change, Raised):
            latency_s = (self._clock.now_ns() - match.shot.read_at_ns) / 1e9
            self._metrics.raised.inc()
            self._metrics.latency.observe(max(latency_s, 0.0))
            log.info(
                "alert raised",
                alert_id=change.alert.alert_id,
                camera_id=match.shot.camera_id,
                latency_ms=round(latency_s * 1000),
            )
            return "raised"
        return "strengthened" if isinstance(change, Strengthened) else "counted"


def refusal(match: MatchMade, order: Order | None) -> str | None:
    """Return why no alert may come of `match`, or None. Fails closed.

    An order that has just ended does not undo what was captured while it was in force: what counts is when
    the frame was taken. A stopped order counts up to the moment of the stop, by the clock of the reader: a
    file's own clock runs ahead when it is read faster than it was filmed.
    """
    if order is None:
        return "no_order"
    captured_at_s, read_at_s = match.shot.captured_at_ns / 1e9, match.shot.read_at_ns / 1e9
    lawful = (
        order.starts_at_s <= captured_at_s < order.ends_at_s
        and match.shot.camera_id in order.camera_ids
        and match.watchlist_id == order.watchlist_id
        and match.fingerprint == order.fingerprint
        and match.threshold >= order.threshold
    )
    if order.state != "active":
        lawful = lawful and min(captured_at_s, read_at_s) <= order.issued_at_s
    return None if lawful else "outside_order"
