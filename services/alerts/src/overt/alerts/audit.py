"""The audit chain: who did and saw what, insert-only, each link hashing the one before."""

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from overt.alerts.tables import AuditRow

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Act:
    """Something to be remembered. `subject` is what it was done to; `detail` holds no personal data."""

    at_ns: int
    person_id: str
    action: str
    subject: str
    detail: str = ""


def append(session: Session, act: Act) -> str:
    """Add `act` to the chain within the caller's transaction and return its hash.

    The transaction must hold the write lock (Store.write does): two links never share a place.
    """
    last = session.scalars(select(AuditRow).order_by(AuditRow.position.desc()).limit(1)).first()
    position, previous = (last.position + 1, last.hash) if last else (1, GENESIS)
    digest = link_hash(previous, position, act)
    session.add(
        AuditRow(
            position=position,
            at_ns=act.at_ns,
            person_id=act.person_id,
            action=act.action,
            subject=act.subject,
            detail=act.detail,
            hash=digest,
        )
    )
    session.flush()
    return digest


def first_broken(session: Session) -> int | None:
    """Return the position of the first link that was changed, removed or put in between; None: intact.

    A tail that was cut off can't be seen from inside: compare the last hash with a published one.
    """
    previous = GENESIS
    for expected, row in enumerate(session.scalars(select(AuditRow).order_by(AuditRow.position)), start=1):
        act = Act(row.at_ns, row.person_id, row.action, row.subject, row.detail)
        if row.position != expected or row.hash != link_hash(previous, expected, act):
            return expected
        previous = row.hash
    return None


def link_hash(previous: str, position: int, act: Act) -> str:
    """SHA-256 over the hash before and this link's content, as JSON so that no two contents look alike."""
    content = [previous, position, act.at_ns, act.person_id, act.action, act.subject, act.detail]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
