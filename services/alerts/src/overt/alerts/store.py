"""What other modules read from the database of the alerts service, and mark in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from overt.alerts.database import Database
from overt.alerts.judging import PENDING, Judgement
from overt.alerts.tables import (
    AlertRow,
    EscalationRow,
    JudgementRow,
    OtherCandidateRow,
    OutboxRow,
    OutcomeRow,
    PictureRow,
    PresentationRow,
)
from overt.contracts.events import AlertState, AlertVerdict, EngagementResult, Outcome


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the outbox."""

    position: int
    alert_id: str
    event_json: bytes


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """What came of an engagement, and who says so."""

    person_id: str
    engagement: EngagementResult
    outcome: Outcome
    at_ns: int


@dataclass(frozen=True, slots=True)
class Escalations:
    """How often an alert waited for people too long, and when that was said last."""

    times: int
    last_at_ns: int


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One alert with everything but its pictures. `blobs`: the kinds that there are.

    `flagged_looks`: how many looks say that it may be a picture of a face; None: nothing says so.
    """

    row: AlertRow
    state: AlertState
    judgements: tuple[Judgement, ...]
    outcome: RecordedOutcome | None
    others: tuple[tuple[str, float], ...]
    blobs: frozenset[str]
    escalations: Escalations | None
    flagged_looks: int | None


class Store(Database):
    """The database with what other modules read from it."""

    def unsent(self, limit: int) -> list[Stored]:
        """The oldest events that are not marked as sent."""
        query = select(OutboxRow).where(OutboxRow.sent_at_ns.is_(None)).order_by(OutboxRow.position)
        with self.read() as session:
            return [_stored(row) for row in session.scalars(query.limit(limit))]

    def mark_sent(self, positions: Sequence[int], at_ns: int) -> None:
        """Remember that these were delivered."""
        with self.write() as session:
            session.execute(
                update(OutboxRow).where(OutboxRow.position.in_(positions)).values(sent_at_ns=at_ns)
            )

    def forget_sent(self, before_ns: int) -> int:
        """Delete events that were delivered before `before_ns` and return how many."""
        with self.write() as session:
            found = session.scalars(
                delete(OutboxRow).where(OutboxRow.sent_at_ns < before_ns).returning(OutboxRow.position)
            )
            return len(found.all())

    def events_after(self, position: int, limit: int) -> list[Stored]:
        """Events after `position`, oldest first: what a page missed while it was not connected."""
        query = select(OutboxRow).where(OutboxRow.position > position).order_by(OutboxRow.position)
        with self.read() as session:
            return [_stored(row) for row in session.scalars(query.limit(limit))]

    def last_position(self) -> int:
        """The position of the newest event; 0 when there is none."""
        with self.read() as session:
            return session.scalar(select(func.max(OutboxRow.position))) or 0

    def count_pending(self) -> int:
        """How many alerts await a judgement."""
        query = select(func.count()).select_from(AlertRow).where(AlertRow.state.in_(PENDING))
        with self.read() as session:
            return session.scalar(query) or 0

    def count_cards(self) -> int:
        """How many alerts have their reference card: it may come after the alert, and no event tells of it."""
        with self.read() as session:
            query = select(func.count()).select_from(PictureRow).where(PictureRow.kind == "card")
            return session.scalar(query) or 0


def load(session: Session, alert_id: str) -> AlertRecord | None:
    """Return one alert."""
    row = session.get(AlertRow, alert_id)
    return None if row is None else _record(session, row)


def load_newest(session: Session, limit: int) -> list[AlertRecord]:
    """Return every pending alert and the newest others, `limit` in all, oldest first."""
    pending_first = AlertRow.state.in_(PENDING).desc()
    query = select(AlertRow).order_by(pending_first, AlertRow.raised_at_ns.desc()).limit(limit)
    rows = sorted(session.scalars(query), key=lambda row: row.raised_at_ns)
    return [_record(session, row) for row in rows]


def _record(session: Session, row: AlertRow) -> AlertRecord:
    alert_id = row.alert_id
    judged = session.scalars(
        select(JudgementRow).where(JudgementRow.alert_id == alert_id).order_by(JudgementRow.ordinal)
    )
    others = session.scalars(
        select(OtherCandidateRow)
        .where(OtherCandidateRow.alert_id == alert_id)
        .order_by(OtherCandidateRow.similarity.desc())
    )
    outcome = session.get(OutcomeRow, alert_id)
    return AlertRecord(
        row=row,
        state=cast("AlertState", row.state),
        judgements=tuple(_judgement(each) for each in judged),
        outcome=None if outcome is None else _outcome(outcome),
        others=tuple((other.entry_id, other.similarity) for other in others),
        blobs=frozenset(session.scalars(select(PictureRow.kind).where(PictureRow.alert_id == alert_id))),
        escalations=_escalations(session.get(EscalationRow, alert_id)),
        flagged_looks=_flagged_looks(session.get(PresentationRow, alert_id)),
    )


def _escalations(row: EscalationRow | None) -> Escalations | None:
    return None if row is None or row.last_at_ns is None else Escalations(row.times, row.last_at_ns)


def _flagged_looks(row: PresentationRow | None) -> int | None:
    return row.looks if row is not None and row.flagged else None


def _judgement(row: JudgementRow) -> Judgement:
    return Judgement(row.ordinal, row.person_id, cast("AlertVerdict", row.verdict), row.reason, row.at_ns)


def _outcome(row: OutcomeRow) -> RecordedOutcome:
    engagement, outcome = cast("EngagementResult", row.engagement), cast("Outcome", row.outcome)
    return RecordedOutcome(row.person_id, engagement, outcome, row.at_ns)


def _stored(row: OutboxRow) -> Stored:
    return Stored(row.position, row.alert_id, row.event_json)
