"""The tables of the alerts service: created on an empty database, the same on SQLite and PostgreSQL."""

from sqlalchemy import (
    DDL,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    event,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite numbers rows by itself only in an INTEGER column.
Position = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """What `create_all` creates."""


class AlertRow(Base):
    """One alert without pictures. `version` grows with everything that a judge could have seen.

    `camera_id`, `captured_at_ns`, `similarity` and `probe_hash` belong to the probe shown; `read_at_ns` to
    the one that raised the alert. `sequence` counts published events.
    """

    __tablename__ = "alerts"
    __table_args__ = (Index("alerts_by_entry", "deployment_id", "entry_id", "last_at_ns"),)

    alert_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    deployment_id: Mapped[str] = mapped_column(String(64))
    watchlist_id: Mapped[str] = mapped_column(String(64))
    entry_id: Mapped[str] = mapped_column(String(64))
    camera_id: Mapped[str] = mapped_column(String(64))
    first_at_ns: Mapped[int] = mapped_column(BigInteger)
    last_at_ns: Mapped[int] = mapped_column(BigInteger)
    captured_at_ns: Mapped[int] = mapped_column(BigInteger)
    read_at_ns: Mapped[int] = mapped_column(BigInteger)
    raised_at_ns: Mapped[int] = mapped_column(BigInteger)
    similarity: Mapped[float]
    threshold: Mapped[float]
    probe_hash: Mapped[str] = mapped_column(String(64))
    matches: Mapped[int]
    state: Mapped[str] = mapped_column(String(32), index=True)
    version: Mapped[int]
    sequence: Mapped[int]


class SeenRow(Base):
    """Digests of the matches an alert has counted, so that a redelivered one is known."""

    __tablename__ = "seen"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class OtherCandidateRow(Base):
    """Entries that were also at or above the threshold: recorded, no alert."""

    __tablename__ = "other_candidates"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    entry_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    similarity: Mapped[float]


class PictureRow(Base):
    """A sealed blob of an alert: portrait, context, reference, or card (label and category)."""

    __tablename__ = "pictures"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class JudgementRow(Base):
    """One person's answer: the database itself refuses a second one by the same person."""

    __tablename__ = "judgements"
    __table_args__ = (UniqueConstraint("alert_id", "person_id"),)

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person_id: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32))
    at_ns: Mapped[int] = mapped_column(BigInteger)


class OutcomeRow(Base):
    """What came of an engagement."""

    __tablename__ = "outcomes"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    person_id: Mapped[str] = mapped_column(String(64))
    engagement: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    at_ns: Mapped[int] = mapped_column(BigInteger)


class EscalationRow(Base):
    """Since when an alert waits for a person; None: for nobody any more.

    A judgement begins the time anew, and so does an escalation.
    """

    __tablename__ = "escalations"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    waiting_since_ns: Mapped[int | None] = mapped_column(BigInteger, index=True)
    times: Mapped[int]
    last_at_ns: Mapped[int | None] = mapped_column(BigInteger)


class PresentationRow(Base):
    """What the presentation check said of the faces of an alert until somebody judged; nothing reads it but pages.

    A table of its own, so that a database of before has it after a start. `looks` are those of the finding
    that rests on most; `flagged` is that finding's.
    """

    __tablename__ = "presentations"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    looks: Mapped[int]
    flagged: Mapped[bool]


class OutboxRow(Base):
    """An event of `alerts.v1`, written with the change it tells of. Its position is the live stream's id."""

    __tablename__ = "outbox"
    __table_args__ = ({"sqlite_autoincrement": True},)

    position: Mapped[int] = mapped_column(Position, primary_key=True)
    alert_id: Mapped[str] = mapped_column(String(64))
    event_json: Mapped[bytes] = mapped_column(LargeBinary)
    sent_at_ns: Mapped[int | None] = mapped_column(BigInteger, index=True)


class AuditRow(Base):
    """One link of the audit chain. `hash` covers the link before it: see audit.py."""

    __tablename__ = "audit"

    position: Mapped[int] = mapped_column(Position, primary_key=True, autoincrement=False)
    at_ns: Mapped[int] = mapped_column(BigInteger)
    person_id: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(128))
    detail: Mapped[str] = mapped_column(String(400))
    hash: Mapped[str] = mapped_column(String(64))


# SQLite takes one statement at a time; each of these refuses whoever tries to change what is written.
_REFUSALS = {
    "sqlite": [
        f"CREATE TRIGGER audit_refuses_{verb.lower()} BEFORE {verb} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is insert-only'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit trail is insert-only'; END $$""",
        """CREATE TRIGGER audit_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()""",
    ],
}
for _dialect, _statements in _REFUSALS.items():
    for _statement in _statements:
        _trigger = DDL(_statement)  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
        event.listen(AuditRow.__table__, "after_create", _trigger.execute_if(dialect=_dialect))
