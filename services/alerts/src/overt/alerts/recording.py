"""Writes what the fold decides: alerts, their pictures, and the event that tells of each change."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from overt.alerts import audit
from overt.alerts.core import Change, Folded, Match, Raised, Strengthened, fold
from overt.alerts.pictures import Vault, shot_blobs
from overt.alerts.tables import (
    AlertRow,
    EscalationRow,
    OtherCandidateRow,
    OutboxRow,
    PresentationRow,
    SeenRow,
)
from overt.contracts.events import AlertRaised, AlertStrengthened, AnyAlertEvent
from overt.contracts.messages import MatchMade, Presentation
from overt.runtime.clock import Clock


class Recorder:
    """Records matches within the caller's transaction."""

    def __init__(self, vault: Vault, clock: Clock, window_ns: int) -> None:
        self._vault = vault
        self._clock = clock
        self._window_ns = window_ns

    def record(self, session: Session, match: MatchMade) -> tuple[Change, ...]:
        """Fold `match` in and return what changed. Raises KeyGone: the deployment was erased."""
        folded = _of_message(match)
        changes = fold(self._near(session, folded), folded, self._window_ns)
        for change in changes:
            self._write(session, match, change)
        return changes

    def _near(self, session: Session, match: Match) -> list[Folded]:
        rows = session.scalars(
            select(AlertRow).where(
                AlertRow.deployment_id == match.deployment_id,
                AlertRow.entry_id == match.entry_id,
                AlertRow.first_at_ns <= match.captured_at_ns + self._window_ns,
                AlertRow.last_at_ns >= match.captured_at_ns - self._window_ns,
            )
        )
        return [_of_row(session, row, match.identities) for row in rows]

    def _write(self, session: Session, match: MatchMade, change: Change) -> None:
        if isinstance(change, Raised):
            row = self._new_row(match, change.alert)
            session.add(row)
            session.flush()
            waits = EscalationRow(alert_id=row.alert_id, waiting_since_ns=row.raised_at_ns, times=0)
            session.add(waits)
            emit(session, row, self._raised(row))
            # The sealed hash of the matched input: EU AI Act 12(3).
            detail = f"probe {row.probe_hash}"
            audit.append(session, audit.Act(row.raised_at_ns, "overt", "alert.raise", row.alert_id, detail))
        else:
            row = session.get_one(AlertRow, change.alert.alert_id)
        row.first_at_ns, row.last_at_ns = change.alert.first_at_ns, change.alert.last_at_ns
        row.matches = change.alert.matches
        # An alert's match is new to it, so all that it has seen of the match it sees now.
        session.add_all(SeenRow(alert_id=row.alert_id, digest=digest) for digest in change.alert.seen)
        if isinstance(change, Strengthened):
            _show(row, match)
            row.version += 1
            fields = next_event(row, self._clock.now_ns())
            emit(session, row, AlertStrengthened(*fields, similarity=row.similarity))
        if isinstance(change, Raised | Strengthened):
            for picture in self._vault.seal(row.deployment_id, row.alert_id, shot_blobs(match.shot)):
                session.merge(picture)
        _merge_others(session, row.alert_id, match)
        if not change.alert.judged:
            _note_presentation(session, row.alert_id, match.shot.presentation)
        session.flush()

    def _new_row(self, match: MatchMade, alert: Folded) -> AlertRow:
        row = AlertRow(
            alert_id=alert.alert_id,
            deployment_id=match.deployment_id,
            watchlist_id=match.watchlist_id,
            entry_id=match.candidates[0].entry_id,
            first_at_ns=alert.first_at_ns,
            last_at_ns=alert.last_at_ns,
            read_at_ns=match.shot.read_at_ns,
            raised_at_ns=self._clock.now_ns(),
            threshold=match.threshold,
            matches=0,
            state="awaiting_first",
            version=1,
            sequence=0,
        )
        _show(row, match)
        return row

    @staticmethod
    def _raised(row: AlertRow) -> AlertRaised:
        return AlertRaised(
            *next_event(row, row.raised_at_ns),
            entry_id=row.entry_id,
            watchlist_id=row.watchlist_id,
            camera_id=row.camera_id,
            captured_at_ns=row.captured_at_ns,
            similarity=row.similarity,
            threshold=row.threshold,
            link=f"/alerts/{row.alert_id}",
        )


def emit(session: Session, row: AlertRow, event: AnyAlertEvent) -> None:
    """Put `event` into the outbox: it is published if, and only if, the transaction is committed."""
    row.sequence = event.sequence
    event_json = msgspec.json.encode(event, order="deterministic")
    session.add(OutboxRow(alert_id=row.alert_id, event_json=event_json, sent_at_ns=None))
    session.flush()


def next_event(row: AlertRow, at_ns: int) -> tuple[str, str, int, int, Literal[1]]:
    """What every event begins with: alert, deployment, the alert's next sequence number, time, version."""
    return (row.alert_id, row.deployment_id, row.sequence + 1, at_ns, 1)


def _show(row: AlertRow, match: MatchMade) -> None:
    row.camera_id = match.shot.camera_id
    row.captured_at_ns = match.shot.captured_at_ns
    row.similarity = match.candidates[0].similarity
    row.probe_hash = match.probe_hash


def _merge_others(session: Session, alert_id: str, match: MatchMade) -> None:
    for other in match.candidates[1:]:
        known = session.get(OtherCandidateRow, (alert_id, other.entry_id))
        if known is None:
            session.add(
                OtherCandidateRow(alert_id=alert_id, entry_id=other.entry_id, similarity=other.similarity)
            )
        else:
            known.similarity = max(known.similarity, other.similarity)


def _note_presentation(session: Session, alert_id: str, said: Presentation | None) -> None:
    """Keep what rests on most looks. No version, no event: what it says must change nothing else."""
    if said is None:
        return
    known = session.get(PresentationRow, alert_id)
    if known is None:
        session.add(PresentationRow(alert_id=alert_id, looks=said.looks, flagged=said.flagged))
    elif said.looks >= known.looks:
        known.looks, known.flagged = said.looks, said.flagged


def _of_message(match: MatchMade) -> Match:
    return Match(
        deployment_id=match.deployment_id,
        entry_id=match.candidates[0].entry_id,
        camera_id=match.shot.camera_id,
        track_id=match.shot.track_id,
        shot_number=match.shot.number,
        probe_hash=match.probe_hash,
        captured_at_ns=match.shot.captured_at_ns,
        similarity=match.candidates[0].similarity,
    )


def _of_row(session: Session, row: AlertRow, asked: frozenset[str]) -> Folded:
    """Return the alert for the fold of one match: of what it has seen, that match's identities alone."""
    query = select(SeenRow.digest).where(SeenRow.alert_id == row.alert_id, SeenRow.digest.in_(asked))
    seen: Iterable[str] = session.scalars(query)
    return Folded(
        alert_id=row.alert_id,
        first_at_ns=row.first_at_ns,
        last_at_ns=row.last_at_ns,
        similarity=row.similarity,
        matches=row.matches,
        seen=frozenset(seen),
        judged=row.state != "awaiting_first",
    )
