"""Who may judge what, with which reasons, and what follows: pure rules over the judgements of one alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from overt.contracts.events import AlertState, AlertVerdict, EngagementResult, Outcome

Role = Literal["operator", "engagement_officer", "supervisor"]
Factor = Literal["subject", "system", "environment"]

VERDICTS: tuple[AlertVerdict, ...] = get_args(AlertVerdict)
ENGAGEMENTS: tuple[EngagementResult, ...] = get_args(EngagementResult)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
PENDING: frozenset[AlertState] = frozenset(("awaiting_first", "awaiting_second", "disagreed"))
OUTCOME_ROLES: frozenset[Role] = frozenset(("engagement_officer", "supervisor"))


class Refused(Exception):
    """Something that this person may not do to this alert now. The text is shown to the person."""


class Forbidden(Refused):
    """Not with this role, or not by the same person again."""


class Conflict(Refused):
    """The alert is not what the person saw when deciding: look again."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. `person_id` stays the same over restarts."""

    person_id: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Judgement:
    """One person's answer about one alert."""

    ordinal: int
    person_id: str
    verdict: AlertVerdict
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of the closed list and the verdict that it can stand for."""

    code: str
    factor: Factor
    verdict: AlertVerdict
    text: str


# After the factors an operator considers in South Wales Police practice (Bridges [2020] EWCA Civ 1058):
# subject, system and environment. The wording is Overt's own. No free text: it would end up in reports.
REASONS: tuple[Reason, ...] = (
    Reason("features_agree", "subject", "true_alert", "Shape and proportions of the features agree"),
    Reason("marks_agree", "subject", "true_alert", "A lasting mark agrees (scar, mole, shape of the ear)"),
    Reason("picture_explains", "system", "true_alert", "Differences come from the quality of a picture"),
    Reason("scene_explains", "environment", "true_alert", "Differences come from light or camera angle"),
    Reason("features_differ", "subject", "false_alert", "Shape or proportions of the features differ"),
    Reason("marks_differ", "subject", "false_alert", "A lasting mark differs (scar, mole, shape of the ear)"),
    Reason("general_likeness", "subject", "false_alert", "Only a general likeness (hair, glasses, headwear)"),
    Reason("face_covered", "subject", "false_alert", "Too much of the face is covered to compare"),
    Reason("probe_poor", "system", "false_alert", "Probe picture is too poor to compare"),
    Reason("reference_poor", "system", "false_alert", "Reference picture is too poor or too old to compare"),
    Reason("light", "environment", "false_alert", "Light or shadow hides what would have to agree"),
    Reason("obstruction", "environment", "false_alert", "Camera angle or an obstruction hides it"),
)
REASON_BY_CODE = {reason.code: reason for reason in REASONS}


def judges_next(state: AlertState) -> Role | None:
    """Return the role whose judgement is awaited, or None.

    Two operators first; only when they disagree a supervisor, who so is always a third person
    (governance: two people judge separately, a disagreement goes to a supervisor).
    """
    if state in ("awaiting_first", "awaiting_second"):
        return "operator"
    return "supervisor" if state == "disagreed" else None


def may_judge(state: AlertState, past: Sequence[Judgement], person: Person) -> bool:
    """Whether a judgement of `person` is awaited."""
    has_judged = person.person_id in (judgement.person_id for judgement in past)
    return judges_next(state) == person.role and not has_judged


def judge(state: AlertState, past: Sequence[Judgement], new: Judgement, person: Person) -> AlertState:
    """Return the state after `new`. Raises Forbidden, Conflict, or Refused for a reason off the list."""
    if person.person_id != new.person_id:
        raise Forbidden("A judgement is given in one's own name.")
    if person.person_id in (judgement.person_id for judgement in past):
        raise Forbidden("You have judged this alert; the other judgement is another person's.")
    if judges_next(state) is None:
        raise Conflict("This alert has been judged.")
    if judges_next(state) != person.role:
        raise Forbidden(f"This judgement is for the role {judges_next(state)}.")
    reason = REASON_BY_CODE.get(new.reason)
    if reason is None or reason.verdict != new.verdict:
        raise Refused("Choose a reason that goes with your answer.")
    if state == "awaiting_first":
        return "awaiting_second"
    if state == "awaiting_second" and past[0].verdict != new.verdict:
        return "disagreed"
    return "judged_true" if new.verdict == "true_alert" else "judged_false"


def require_outcome_allowed(state: AlertState, person: Person) -> None:
    """Raise Forbidden or Conflict unless `person` may record the outcome of an engagement now."""
    if person.role not in OUTCOME_ROLES:
        raise Forbidden("The outcome is recorded by an engagement officer or a supervisor.")
    if state == "closed":
        raise Conflict("The outcome has been recorded.")
    if state != "judged_true":
        raise Conflict("No engagement is advised on this alert.")


def may_see_answers(state: AlertState, past: Sequence[Judgement], person: Person) -> bool:
    """Whether `person` may see the others' answers and the score: after the own judgement, or once decided.

    The second judge is blind to the first (EU AI Act 14(5), SWP: two reviews). So is whoever might still
    become that judge.
    """
    return state not in PENDING or person.person_id in (judgement.person_id for judgement in past)
