"""The database of the alerts service: transactions, and what other modules read from it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from overt.alerts.judging import PENDING, Judgement
from overt.alerts.tables import (
    AlertRow,
    Base,
    JudgementRow,
    OtherCandidateRow,
    OutboxRow,
    OutcomeRow,
    PictureRow,
)
from overt.contracts.events import AlertState, AlertVerdict, EngagementResult, Outcome
from overt.runtime.process import CannotBegin

BUSY_TIMEOUT_MS = 10_000


class StoreUnusable(CannotBegin):
    """The database can't be opened, or is none."""


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
class AlertRecord:
    """One alert with everything but its pictures. `blobs`: the kinds that there are."""

    row: AlertRow
    state: AlertState
    judgements: tuple[Judgement, ...]
    outcome: RecordedOutcome | None
    others: tuple[tuple[str, float], ...]
    blobs: frozenset[str]


class Store:
    """Opens the database and hands out transactions. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Open, and create what is missing. Raises StoreUnusable."""
        try:
            self._engine = _open(url)
            Base.metadata.create_all(self._engine)
        except OSError as error:
            raise StoreUnusable(f"the alerts database can't be opened: {error.strerror}") from None
        except DBAPIError as error:
            raise StoreUnusable(f"the alerts database can't be used: {error.orig}") from None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start; committed unless something is raised."""
        engine = self._engine.execution_options(write=True)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction for reading."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

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
    )


def _judgement(row: JudgementRow) -> Judgement:
    return Judgement(row.ordinal, row.person_id, cast("AlertVerdict", row.verdict), row.reason, row.at_ns)


def _outcome(row: OutcomeRow) -> RecordedOutcome:
    engagement, outcome = cast("EngagementResult", row.engagement), cast("Outcome", row.outcome)
    return RecordedOutcome(row.person_id, engagement, outcome, row.at_ns)


def _stored(row: OutboxRow) -> Stored:
    return Stored(row.position, row.alert_id, row.event_json)


def _open(url: str) -> Engine:
    parsed = make_url(url)
    engine = create_engine(parsed, hide_parameters=True)  # parameters are pictures and names
    if parsed.get_backend_name() != "sqlite":
        return engine
    if not parsed.database or parsed.database == ":memory:":
        raise StoreUnusable("alerts are kept in a file: a restart must find them again")
    _create_private(Path(parsed.database))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # The driver would begin transactions by itself, and too late; `begin` below does it.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "synchronous=FULL",  # an alert that was acknowledged survives a power cut
            "foreign_keys=ON",
            "secure_delete=ON",  # what is deleted is overwritten
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that turns writer half-way fails with "database is locked"; so writers say it first.
        writes = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create_private(path: Path) -> None:
    """Create the file readable by its owner only; SQLite gives its side files the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
