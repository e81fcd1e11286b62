"""What must stand in the books at the end: matches, alerts, judgements and events, each counted on its own."""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from overt.alerts.tables import AlertRow, JudgementRow, OutboxRow
from overt.cli.runs import AlertLine
from overt.cli.verify import alerts_of
from overt.contracts.messages import MatchMade
from overt.contracts.topics import ALERTS, MATCHES
from overt.contracts.wire import TopicWire
from overt.runtime.broker import Record
from overt.runtime.loop import RecordRefused
from tests.integration.deployed import Deployed

from .passes import Pass


@dataclass(frozen=True, slots=True)
class Span:
    """One alert as it should be or is: who, under which order, from when to when, of how many matches."""

    deployment_id: str
    entry_id: str
    first_at_ns: int
    last_at_ns: int
    matches: int


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that was written down at the end of a run."""

    matches: Sequence[MatchMade]
    alerts: Mapping[str, AlertRow]
    judgements: frozenset[tuple[str, str, str]]
    events: Sequence[AlertLine]


def read_books(system: Deployed, orders: Collection[str]) -> Books:
    """Read what belongs to `orders`: matches and events from Kafka, the rest from the database."""
    keys = system.keys_of("alerts")
    wire: TopicWire[MatchMade] = TopicWire(MATCHES, keys)
    try:
        records = [record for record in system.topics.records(MATCHES) if _is_of(record, orders)]
        matches = [match for record in records for match in _opened(wire, record)]
    finally:
        keys.close()
    engine = create_engine(system.alerts_database_url)
    try:
        with Session(engine, expire_on_commit=False) as session:
            alerts = {
                row.alert_id: row
                for row in session.scalars(select(AlertRow).where(AlertRow.deployment_id.in_(orders)))
            }
            judged = frozenset(
                (row.alert_id, row.person_id, row.verdict)
                for row in session.scalars(select(JudgementRow))
                if row.alert_id in alerts
            )
    finally:
        engine.dispose()
    events = [line for line in alerts_of(system.topics.records(ALERTS)) if line.deployment_id in orders]
    return Books(matches, alerts, judged, events)


def _is_of(record: Record, orders: Collection[str]) -> bool:
    return record.key.decode().partition("/")[0] in orders


def _opened(wire: TopicWire[MatchMade], record: Record) -> Iterator[MatchMade]:
    # What a test put there as poison is no match.
    with contextlib.suppress(RecordRefused):
        yield wire.open(record)


def is_published(system: Deployed) -> bool:
    """Whether the outbox holds nothing that was not sent."""
    engine = create_engine(system.alerts_database_url)
    try:
        with Session(engine) as session:
            return session.scalars(select(OutboxRow).where(OutboxRow.sent_at_ns.is_(None))).first() is None
    finally:
        engine.dispose()


def demanded(matches: Iterable[MatchMade], window_s: float) -> Sequence[Span]:
    """Return the alerts that `matches` must have become, in whatever order and however often they came.

    The obvious way: sort the matches of an entry by time, cut where a gap is wider than the window, and count
    what an alert has seen before no further. It shares nothing with the fold of alerts.
    """
    of_entry: dict[tuple[str, str], list[MatchMade]] = {}
    for match in matches:
        of_entry.setdefault((match.deployment_id, match.candidates[0].entry_id), []).append(match)
    spans = [
        Span(*key, group[0].shot.captured_at_ns, group[-1].shot.captured_at_ns, len(group))
        for key, found in of_entry.items()
        for group in _grouped(found, int(window_s * 1e9))
    ]
    return sorted(spans, key=lambda span: (span.first_at_ns, span.deployment_id))


def _grouped(matches: Iterable[MatchMade], window_ns: int) -> Sequence[Sequence[MatchMade]]:
    groups: list[list[MatchMade]] = []
    for match in sorted(matches, key=lambda match: match.shot.captured_at_ns):
        if not groups or match.shot.captured_at_ns - groups[-1][-1].shot.captured_at_ns > window_ns:
            groups.append([match])
        elif not any(_is_repeat(match, other) for other in groups[-1]):
            groups[-1].append(match)
    return groups


def _is_repeat(match: MatchMade, other: MatchMade) -> bool:
    """Whether both show the same picture, or the same shot of the same track.

    A recording that a restarted ingest begins anew shows the very same picture once more.
    """

    def place(one: MatchMade) -> tuple[str, str, int]:
        return (one.shot.camera_id, one.shot.track_id, one.shot.number)

    return match.probe_hash == other.probe_hash or place(match) == place(other)


def differing(books: Books, window_s: float) -> tuple[Sequence[Span], Sequence[Span]]:
    """Return the alerts that are missing or miscounted, and those that nothing demands."""
    wanted = set(demanded(books.matches, window_s))
    found = [
        Span(row.deployment_id, row.entry_id, row.first_at_ns, row.last_at_ns, row.matches)
        for row in books.alerts.values()
    ]
    surplus = [span for span in found if span not in wanted]
    return sorted(wanted - set(found), key=lambda span: span.first_at_ns), surplus + _twice(found)


def _twice(found: Sequence[Span]) -> list[Span]:
    return [span for number, span in enumerate(found) if span in found[:number]]


def labelled(books: Books, groups: Sequence[Sequence[Pass]], slack_s: float) -> Sequence[AlertLine]:
    """Return the alerts of the run, each named after the appearance that it belongs to."""
    lines = {line.alert_id: line for line in books.events}
    return [
        AlertLine(
            alert_id=row.alert_id,
            entry_id=row.entry_id,
            camera_id=row.camera_id,
            captured_at_ns=row.first_at_ns,
            judgements=sum(alert_id == row.alert_id for alert_id, _, _ in books.judgements),
            missing=lines[row.alert_id].missing if row.alert_id in lines else (1,),
            passing=_name_of(row, groups, slack_s),
        )
        for row in books.alerts.values()
    ]


def _name_of(row: AlertRow, groups: Sequence[Sequence[Pass]], slack_s: float) -> str:
    first_s, last_s = row.first_at_ns / 1e9, row.last_at_ns / 1e9
    for group in groups:
        here = (group[0].camera_id, group[0].deployment_id) == (row.camera_id, row.deployment_id)
        if here and group[0].from_s - slack_s <= last_s and first_s <= group[-1].to_s + slack_s:
            return name_of(group)
    return f"nobody in view at {first_s:.0f}"


def name_of(group: Sequence[Pass]) -> str:
    """Return the name of an appearance."""
    return f"in view at {group[0].from_s:.0f}"
