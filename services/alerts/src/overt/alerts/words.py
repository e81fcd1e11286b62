"""The words of the control room: states, what to do next, categories; and times as people read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from overt.alerts.judging import OUTCOME_ROLES, PENDING, Judgement, Person, may_judge
from overt.contracts.events import AlertState, AlertVerdict, EngagementResult, Outcome
from overt.contracts.orders import Purpose

STATES: Mapping[AlertState, str] = {
    "awaiting_first": "Awaiting first judgement",
    "awaiting_second": "Awaiting second judgement",
    "disagreed": "Awaiting supervisor",
    "judged_true": "Engagement advised",
    "judged_false": "Closed: false alert",
    "closed": "Closed: outcome recorded",
}
VERDICTS: Mapping[AlertVerdict, str] = {"true_alert": "True alert", "false_alert": "False alert"}
ENGAGEMENTS: Mapping[EngagementResult, str] = {
    "confirmed_true": "Confirmed true",
    "confirmed_false": "Confirmed false",
    "unconfirmed": "Unconfirmed",
}
OUTCOMES: Mapping[Outcome, str] = {
    "arrest": "Arrest",
    "other_disposal": "Other disposal",
    "no_action": "No action",
}
FACTORS = {"subject": "Subject", "system": "System", "environment": "Environment"}
PURPOSES: Mapping[Purpose, str] = {
    "crime_hotspot": "Crime hotspot",
    "missing_person_hotspot": "Missing-person hotspot",
    "protective_critical_infrastructure": "Protective operation, critical infrastructure",
    "protective_event": "Protective operation, event",
    "sought_person_location": "Location of a sought person",
}
ROLES = {"operator": "Operator", "engagement_officer": "Engagement officer", "supervisor": "Supervisor"}
ORDINALS = {1: "First judgement", 2: "Second judgement", 3: "Supervisor's decision"}

COMPARE = (
    "Compare the two faces feature by feature, then give your judgement and the reason that decided it. "
    "Another person judges separately."
)
DECIDE = "Two people disagree. Compare the pictures yourself, then decide: your judgement stands."
ADVISED = "Judged a true alert. An engagement is advised; the officer on the street decides."
# As measured by `benchmarks/presentation.py`, see docs/adr/0013: to be changed with the check's limits.
PRESENTATION_RATES = (
    "Measured on clips of real faces and on simulated attacks only: of 16 stretches of 4 s with a real face none was "
    "flagged (95 % interval 0 to 21 %); of 42 photographs on paper or a screen "
    "26 % were missed (14 to 42 %), of 9 replayed videos all."
)
DONE: Mapping[AlertState, str] = {
    "judged_false": "Judged a false alert. Nobody is to be stopped because of it. Nothing to do.",
    "closed": "The outcome is recorded. Nothing to do.",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time for a page: `text` on the local clock, `title` in UTC, `machine` for the `datetime` attribute."""

    text: str
    title: str
    machine: str


def moment(at_ns: int, zone: ZoneInfo | None, *, seconds: bool = True) -> Moment:
    """Return `at_ns` (UNIX nanoseconds, UTC) as a page shows it; `zone` None is the machine's own."""
    utc = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    clock = "%H:%M:%S" if seconds else "%H:%M"
    return Moment(
        text=utc.astimezone(zone).strftime(clock),
        title=utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        machine=utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def category(code: str) -> str:
    """`blue_list` → `Blue list`: control's categories are a closed list of such codes."""
    return code.replace("_", " ").capitalize()


def overdue(times: int) -> str:
    """Return how an alert is described that has waited past its deadline `times` times."""
    return "Waits too long" if times == 1 else f"Waits too long, said {times} times"


def may_be_picture(looks: int) -> str:
    """Return the note on an alert whose face may be a print or a screen: with its error rates, as no decision."""
    return f"The face may be a picture of a face ({looks} looks). {PRESENTATION_RATES} Not a decision: look yourself."


def next_step(state: AlertState, past: tuple[Judgement, ...], person: Person) -> str:
    """Return what `person` is to do about an alert in `state`, in one or two sentences."""
    if may_judge(state, past, person):
        return DECIDE if state == "disagreed" else COMPARE
    if state == "judged_true":
        return f"{ADVISED} Record what came of it." if person.role in OUTCOME_ROLES else ADVISED
    if state not in PENDING:
        return DONE[state]
    if person.person_id in (judgement.person_id for judgement in past):
        waiting = "the supervisor" if state == "disagreed" else "another operator"
        return f"You have judged. Nothing to do until {waiting} has judged too. Don't discuss it before."
    waiting = "the supervisor" if state == "disagreed" else "an operator"
    return f"Nobody is to be stopped because of this alert yet. Waiting for the judgement of {waiting}."
