"""The states of an alert: who may answer when, and what follows."""

import pytest

from overt.alerts.judging import (
    REASONS,
    Conflict,
    Forbidden,
    Judgement,
    Person,
    Refused,
    judge,
    may_judge,
    may_see_answers,
    require_outcome_allowed,
)
from overt.alerts.words import next_step
from overt.contracts.events import AlertState, AlertVerdict

ONE, TWO, THREE = (Person(f"operator-{n}", f"Operator {n}", "operator") for n in (1, 2, 3))
OFFICER = Person("engagement-officer-1", "Engagement officer", "engagement_officer")
BOSS = Person("supervisor-1", "Supervisor", "supervisor")
REASON: dict[AlertVerdict, str] = {"true_alert": "features_agree", "false_alert": "features_differ"}


def answer(person: Person, verdict: AlertVerdict, ordinal: int = 1) -> Judgement:
    return Judgement(ordinal, person.person_id, verdict, REASON[verdict], 0)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(ONE, "true_alert")], "awaiting_second"),
        ([(ONE, "false_alert")], "awaiting_second"),
        ([(ONE, "true_alert"), (TWO, "true_alert")], "judged_true"),
        ([(ONE, "false_alert"), (TWO, "false_alert")], "judged_false"),
        ([(ONE, "true_alert"), (TWO, "false_alert")], "disagreed"),
        ([(ONE, "false_alert"), (TWO, "true_alert")], "disagreed"),
        ([(ONE, "true_alert"), (TWO, "false_alert"), (BOSS, "true_alert")], "judged_true"),
        ([(ONE, "true_alert"), (TWO, "false_alert"), (BOSS, "false_alert")], "judged_false"),
    ],
)
def test_two_who_agree_decide_and_a_supervisor_decides_between_two_who_do_not(
    answers: list[tuple[Person, AlertVerdict]], expected: AlertState
) -> None:
    state: AlertState = "awaiting_first"
    past: list[Judgement] = []
    for ordinal, (person, verdict) in enumerate(answers, start=1):
        new = answer(person, verdict, ordinal)
        state = judge(state, past, new, person)
        past.append(new)
    assert state == expected


@pytest.mark.parametrize(
    ("state", "past", "person", "error"),
    [
        ("awaiting_second", [ONE], ONE, Forbidden),
        ("awaiting_first", [], OFFICER, Forbidden),
        ("awaiting_first", [], BOSS, Forbidden),
        ("awaiting_second", [ONE], BOSS, Forbidden),
        ("disagreed", [ONE, TWO], ONE, Forbidden),
        ("disagreed", [ONE, TWO], THREE, Forbidden),
        ("disagreed", [ONE, TWO], OFFICER, Forbidden),
        ("judged_true", [ONE, TWO], THREE, Conflict),
        ("judged_false", [ONE, TWO], THREE, Conflict),
        ("closed", [ONE, TWO], BOSS, Conflict),
    ],
)
def test_nobody_else_may_judge(
    state: AlertState, past: list[Person], person: Person, error: type[Refused]
) -> None:
    before = [answer(judge_before, "true_alert") for judge_before in past]
    assert not may_judge(state, before, person)
    with pytest.raises(error):
        judge(state, before, answer(person, "true_alert"), person)


def test_a_judgement_is_given_in_ones_own_name() -> None:
    with pytest.raises(Forbidden, match="own name"):
        judge("awaiting_first", [], answer(ONE, "true_alert"), TWO)


@pytest.mark.parametrize("reason", ["", "because", "features_differ"])
def test_a_reason_off_the_list_or_for_the_other_answer_is_refused(reason: str) -> None:
    with pytest.raises(Refused, match="reason"):
        judge("awaiting_first", [], Judgement(1, ONE.person_id, "true_alert", reason, 0), ONE)


def test_each_answer_has_reasons_of_every_factor() -> None:
    offered = {(reason.verdict, reason.factor) for reason in REASONS}
    assert len(offered) == 6
    assert len({reason.code for reason in REASONS}) == len(REASONS)


@pytest.mark.parametrize(
    ("state", "person", "error"),
    [
        ("awaiting_first", OFFICER, Conflict),
        ("awaiting_second", OFFICER, Conflict),
        ("disagreed", BOSS, Conflict),
        ("judged_false", OFFICER, Conflict),
        ("closed", OFFICER, Conflict),
        ("judged_true", ONE, Forbidden),
        ("judged_true", OFFICER, None),
        ("judged_true", BOSS, None),
    ],
)
def test_an_outcome_needs_an_advised_engagement_and_the_role(
    state: AlertState, person: Person, error: type[Refused] | None
) -> None:
    if error is None:
        require_outcome_allowed(state, person)
    else:
        with pytest.raises(error):
            require_outcome_allowed(state, person)


@pytest.mark.parametrize(
    ("state", "past", "person", "sees"),
    [
        ("awaiting_first", [], ONE, False),
        ("awaiting_second", [ONE], ONE, True),
        ("awaiting_second", [ONE], TWO, False),
        ("awaiting_second", [ONE], OFFICER, False),
        ("disagreed", [ONE, TWO], TWO, True),
        ("disagreed", [ONE, TWO], BOSS, False),
        ("judged_true", [ONE, TWO], OFFICER, True),
        ("judged_false", [ONE, TWO], BOSS, True),
    ],
)
def test_answers_and_score_are_seen_after_the_own_judgement_or_once_decided(
    state: AlertState, past: list[Person], person: Person, sees: bool
) -> None:
    before = [answer(judge_before, "true_alert") for judge_before in past]
    assert may_see_answers(state, before, person) is sees


@pytest.mark.parametrize("person", [ONE, TWO, OFFICER, BOSS])
@pytest.mark.parametrize("verdict", ["true_alert", "false_alert"])
def test_what_to_do_reads_the_same_for_a_blind_judge_whatever_was_answered_first(
    person: Person, verdict: AlertVerdict
) -> None:
    texts = {next_step("awaiting_second", (answer(ONE, each),), person) for each in REASON}
    assert len(texts) == 1
