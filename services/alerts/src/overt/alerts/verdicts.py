"""Takes judgements and outcomes: checked, stored, audited and published in one transaction."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from overt.alerts import audit
from overt.alerts.judging import PENDING, Conflict, Judgement, Person, judge, require_outcome_allowed
from overt.alerts.recording import emit, next_event
from overt.alerts.store import AlertRecord, Store, load
from overt.alerts.tables import EscalationRow, JudgementRow, OutcomeRow
from overt.contracts.events import (
    AlertState,
    AlertVerdict,
    EngagementResult,
    JudgementMade,
    Outcome,
    OutcomeRecorded,
)
from overt.runtime.clock import Clock


class UnknownAlert(LookupError):
    """There is no such alert."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A judgement as it is handed in. `version` is that of the alert the person was looking at."""

    alert_id: str
    version: int
    verdict: AlertVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class EngagementReport:
    """An outcome as it is handed in. `version` as in Answer."""

    alert_id: str
    version: int
    engagement: EngagementResult
    outcome: Outcome


class Verdicts:
    """Where people's decisions go."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def judge(self, answer: Answer, person: Person) -> AlertState:
        """Store `answer` and return the alert's new state.

        Raises UnknownAlert, Forbidden, Refused, and Conflict when the alert has changed since the person
        looked: of two judgements at the same moment one is refused and given again with open eyes.
        """
        now_ns = self._clock.now_ns()
        with self._store.write() as session:
            record = _current(session, answer.alert_id)
            ordinal = len(record.judgements) + 1
            new = Judgement(ordinal, person.person_id, answer.verdict, answer.reason, now_ns)
            # The rules first: "you have judged this" is a better answer than "it has changed".
            state = judge(record.state, record.judgements, new, person)
            _require_unchanged(record, answer.version)
            session.add(
                JudgementRow(
                    alert_id=answer.alert_id,
                    ordinal=ordinal,
                    person_id=new.person_id,
                    verdict=new.verdict,
                    reason=new.reason,
                    at_ns=now_ns,
                )
            )
            _advance(record, state)
            _wait_for_next(session, answer.alert_id, now_ns if state in PENDING else None)
            emit(
                session,
                record.row,
                JudgementMade(*next_event(record.row, now_ns), ordinal=ordinal, state=state),
            )
            detail = f"{ordinal} {new.verdict} {new.reason} probe {record.row.probe_hash}"
            audit.append(session, audit.Act(now_ns, person.person_id, "alert.judge", answer.alert_id, detail))
        return state

    def record_outcome(self, report: EngagementReport, person: Person) -> None:
        """Store `report`: the alert is closed. Raises UnknownAlert, Forbidden, Conflict."""
        now_ns = self._clock.now_ns()
        with self._store.write() as session:
            record = _current(session, report.alert_id)
            require_outcome_allowed(record.state, person)
            _require_unchanged(record, report.version)
            session.add(
                OutcomeRow(
                    alert_id=report.alert_id,
                    person_id=person.person_id,
                    engagement=report.engagement,
                    outcome=report.outcome,
                    at_ns=now_ns,
                )
            )
            _advance(record, "closed")
            event = OutcomeRecorded(
                *next_event(record.row, now_ns), engagement=report.engagement, outcome=report.outcome
            )
            emit(session, record.row, event)
            detail = f"{report.engagement} {report.outcome}"
            act = audit.Act(now_ns, person.person_id, "alert.outcome", report.alert_id, detail)
            audit.append(session, act)


def _current(session: Session, alert_id: str) -> AlertRecord:
    record = load(session, alert_id)
    if record is None:
        raise UnknownAlert(alert_id)
    return record


def _require_unchanged(record: AlertRecord, version: int) -> None:
    if record.row.version != version:
        raise Conflict(
            "The alert changed while you were deciding: somebody else judged, or a better picture arrived. "
            "Look again, then decide."
        )


def _advance(record: AlertRecord, state: AlertState) -> None:
    record.row.state = state
    record.row.version += 1


def _wait_for_next(session: Session, alert_id: str, since_ns: int | None) -> None:
    """Begin the deadline of the next judgement at `since_ns`; None: no more is awaited."""
    waiting = session.get(EscalationRow, alert_id)
    if waiting is not None:
        waiting.waiting_since_ns = since_ns
