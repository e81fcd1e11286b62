"""Says again and again, at every deadline, that an alert waits for a person and nobody has judged it."""

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from overt.alerts import audit
from overt.alerts.judging import PENDING
from overt.alerts.live import Pulse
from overt.alerts.metrics import AlertMetrics
from overt.alerts.recording import emit, next_event
from overt.alerts.store import Store
from overt.alerts.tables import AlertRow, EscalationRow
from overt.contracts.events import AlertEscalated
from overt.runtime.clock import Clock

log = structlog.get_logger()

BATCH = 100


class Escalator:
    """Looks for alerts that wait too long. The database remembers, so a restart neither forgets nor repeats."""

    def __init__(
        self, *, store: Store, metrics: AlertMetrics, pulse: Pulse, clock: Clock, deadline_ns: int
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._pulse = pulse
        self._clock = clock
        self._deadline_ns = deadline_ns

    def step(self) -> int:
        """Escalate what is due and return how many. Several processes may: each is told once a deadline."""
        now_ns = self._clock.now_ns()
        due = _due(now_ns - self._deadline_ns)
        # Most of the time nothing is due: then no write lock is taken.
        with self._store.read() as session:
            if session.execute(due.limit(1)).first() is None:
                return 0
        with self._store.write() as session:
            told = [_escalate(session, now_ns, *found) for found in session.execute(due)]
        for alert_id, times in told:
            self._metrics.escalated.inc()
            log.warning("alert waits for a judgement", alert_id=alert_id, escalations=times)
        if told:
            self._pulse.beat()
        return len(told)


def _due(latest_ns: int) -> Select[EscalationRow, AlertRow]:
    return (
        select(EscalationRow, AlertRow)
        .join(AlertRow, AlertRow.alert_id == EscalationRow.alert_id)
        .where(EscalationRow.waiting_since_ns <= latest_ns, AlertRow.state.in_(PENDING))
        .order_by(EscalationRow.waiting_since_ns, AlertRow.alert_id)
        .limit(BATCH)
    )


def _escalate(session: Session, now_ns: int, waiting: EscalationRow, row: AlertRow) -> tuple[str, int]:
    waiting.times += 1
    waiting.waiting_since_ns = waiting.last_at_ns = now_ns
    emit(session, row, AlertEscalated(*next_event(row, now_ns), times=waiting.times))
    act = audit.Act(now_ns, "overt", "alert.escalate", row.alert_id, f"{waiting.times}")
    audit.append(session, act)
    return row.alert_id, waiting.times
