"""What one person's page shows of an alert: decides here, not in a template, what stays hidden from whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from overt.alerts import words
from overt.alerts.judging import (
    OUTCOME_ROLES,
    PENDING,
    REASON_BY_CODE,
    Person,
    may_judge,
    may_see_answers,
)
from overt.alerts.pictures import CardText
from overt.alerts.store import AlertRecord


@dataclass(frozen=True, slots=True)
class Score:
    """A similarity beside its threshold and what was measured there; never a percentage."""

    similarity: str
    threshold: str
    calibration: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of an alert's history."""

    at: words.Moment
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """An alert in the list. `mine`: this person is asked to act."""

    alert_id: str
    label: str
    camera_id: str
    at: words.Moment
    state: str
    state_text: str
    mine: bool
    pending: bool
    overdue: str


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert on the page. `pictures` maps a kind to its link; a kind that is missing is not there yet.

    `presentation`: a note that the face may be a picture, with how often such a note errs; mostly empty.
    """

    summary: Summary
    category: str
    version: int
    matches: int
    pictures: Mapping[str, str]
    next_step: str
    presentation: str
    score: Score | None
    history: tuple[Event, ...]
    others: tuple[str, ...]
    asks_judgement: bool
    asks_outcome: bool


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and what the options say about looking."""

    person: Person
    people: Mapping[str, Person]
    zone: ZoneInfo | None
    first_look_hides_score: bool
    calibration: str


def summary(record: AlertRecord, card: CardText | None, viewer: Viewer) -> Summary:
    """Return the line of an alert in the list."""
    return Summary(
        alert_id=record.row.alert_id,
        label=card.label if card else record.row.entry_id,
        camera_id=record.row.camera_id,
        at=words.moment(record.row.captured_at_ns, viewer.zone),
        state=record.state,
        state_text=words.STATES[record.state],
        mine=_awaits(record, viewer.person),
        pending=record.state in PENDING,
        overdue=_overdue(record),
    )


def _overdue(record: AlertRecord) -> str:
    """What to say while nobody has judged since it was last said that the alert waits too long."""
    escalations = record.escalations
    if escalations is None or record.state not in PENDING:
        return ""
    judged_since = any(judgement.at_ns >= escalations.last_at_ns for judgement in record.judgements)
    return "" if judged_since else words.overdue(escalations.times)


def alert_view(
    record: AlertRecord, card: CardText | None, viewer: Viewer, pictures: Mapping[str, str]
) -> AlertView:
    """Return everything `viewer` may see of an alert now."""
    person, row = viewer.person, record.row
    sees_answers = may_see_answers(record.state, record.judgements, person)
    sees_score = sees_answers or not viewer.first_look_hides_score
    score = Score(f"{row.similarity:.2f}", f"{row.threshold:.2f}", viewer.calibration)
    return AlertView(
        summary=summary(record, card, viewer),
        category=words.category(card.category) if card else "",
        version=row.version,
        matches=row.matches,
        pictures=pictures,
        next_step=words.next_step(record.state, record.judgements, person),
        presentation="" if record.flagged_looks is None else words.may_be_picture(record.flagged_looks),
        score=score if sees_score else None,
        history=_history(record, viewer, sees_answers=sees_answers),
        others=tuple(f"{entry_id} ({similarity:.2f})" for entry_id, similarity in record.others)
        if sees_score
        else (),
        asks_judgement=may_judge(record.state, record.judgements, person),
        asks_outcome=record.state == "judged_true" and person.role in OUTCOME_ROLES,
    )


def _awaits(record: AlertRecord, person: Person) -> bool:
    if record.state == "judged_true":
        return person.role == "engagement_officer"
    return may_judge(record.state, record.judgements, person)


def _history(record: AlertRecord, viewer: Viewer, *, sees_answers: bool) -> tuple[Event, ...]:
    zone, row = viewer.zone, record.row
    events = [Event(words.moment(row.raised_at_ns, zone), "Alert raised")]
    for judgement in record.judgements:
        name = _name(viewer, judgement.person_id)
        reason = REASON_BY_CODE[judgement.reason].text
        answer = f"{words.VERDICTS[judgement.verdict]}: {reason}" if sees_answers else "answer not shown yet"
        events.append(
            Event(
                words.moment(judgement.at_ns, zone), f"{words.ORDINALS[judgement.ordinal]} by {name}", answer
            )
        )
    if record.escalations is not None:
        said = Event(
            words.moment(record.escalations.last_at_ns, zone), words.overdue(record.escalations.times)
        )
        events.append(said)
    if record.outcome is not None:
        engagement = words.ENGAGEMENTS[record.outcome.engagement]
        outcome = words.OUTCOMES[record.outcome.outcome].lower()
        name = _name(viewer, record.outcome.person_id)
        events.append(
            Event(words.moment(record.outcome.at_ns, zone), f"Outcome by {name}", f"{engagement}, {outcome}")
        )
    return tuple(sorted(events, key=lambda event: event.at.machine))


def _name(viewer: Viewer, person_id: str) -> str:
    person = viewer.people.get(person_id)
    return person.name if person else person_id
