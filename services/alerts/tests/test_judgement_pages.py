"""Judging through the pages: two people, blind to each other, no score before the answer."""

import re
import threading
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from overt.alerts import audit
from overt.alerts.judging import Conflict, Person
from overt.alerts.tables import AuditRow, JudgementRow
from overt.alerts.verdicts import Answer, Verdicts
from services.alerts.tests.conftest import Browser, World


@pytest.fixture
def alert_id(world: World) -> str:
    world.order()
    return world.raise_alert(similarity=0.6234, others=(("entry-2", 0.5111),))


def blanked(text: str) -> str:
    """A page without what differs by session, time or place in the stream."""
    return re.sub(r'"[0-9a-f]{64}"|sig=[0-9a-f]+|data-after="\d+"', "", text)


def test_two_who_agree_advise_an_engagement_and_its_outcome_closes_the_alert(
    world: World, alert_id: str
) -> None:
    one, two = world.sign_in("Operator 1"), world.sign_in("Operator 2")
    assert one.judge(alert_id, "true_alert").status_code == 303
    assert two.judge(alert_id, "true_alert").status_code == 303
    officer = world.sign_in("Engagement officer")
    page = officer.get("/").text
    assert "Engagement advised" in page
    assert "Record what came of it" in page
    form = {"csrf": officer.csrf(), "version": officer.version(alert_id)}
    form |= {"engagement": "confirmed_true", "outcome": "other_disposal"}
    assert officer.post(f"/alerts/{alert_id}/outcome", form).status_code == 303
    page = one.get(f"/alerts/{alert_id}").text
    assert "Closed: outcome recorded" in page
    assert "Confirmed true, other disposal" in page
    assert officer.post(f"/alerts/{alert_id}/outcome", form).status_code == 409


def test_two_who_agree_on_false_close_the_alert(world: World, alert_id: str) -> None:
    for name in ("Operator 1", "Operator 2"):
        world.sign_in(name).judge(alert_id, "false_alert")
    page = world.sign_in("Engagement officer").get(f"/alerts/{alert_id}").text
    assert "Closed: false alert" in page
    assert "Record outcome" not in page


def test_a_supervisor_decides_between_two_who_disagree(world: World, alert_id: str) -> None:
    world.sign_in("Operator 1").judge(alert_id, "true_alert")
    world.sign_in("Operator 2").judge(alert_id, "false_alert")
    supervisor = world.sign_in("Supervisor")
    assert "Two people disagree" in supervisor.get("/").text
    assert supervisor.judge(alert_id, "true_alert").status_code == 303
    assert world.service.alerts()[0].state == "judged_true"


@pytest.mark.parametrize("name", ["Operator 2", "Engagement officer", "Supervisor"])
def test_nothing_tells_a_later_judge_what_the_first_answered(tmp_path: Any, name: str) -> None:
    seen = []
    for verdict in ("true_alert", "false_alert"):
        world = World(tmp_path / verdict)
        world.order()
        alert_id = world.raise_alert()
        world.sign_in("Operator 1").judge(alert_id, verdict)
        browser = world.sign_in(name)
        world.service.backstage.relay.step()
        pages = [blanked(browser.get(path).text) for path in ("/", f"/alerts/{alert_id}")]
        seen.append((pages, world.published(), world.service._base.store.events_after(0, 10)))
        assert "answer not shown yet" in pages[1]
        world.service.close()
    assert seen[0] == seen[1]


def test_the_score_is_hidden_until_the_person_has_judged(world: World, alert_id: str) -> None:
    one, two = world.sign_in("Operator 1"), world.sign_in("Operator 2")
    for browser in (one, two):
        for path in ("/", f"/alerts/{alert_id}"):
            page = browser.get(path).text
            assert "Hidden until you judge" in page
            assert "0.62" not in page
            assert "0.51" not in page
    one.judge(alert_id, "true_alert")
    page = one.get(f"/alerts/{alert_id}").text
    assert "0.62" in page
    assert "threshold 0.40" in page
    assert "no measured false-positive identification rate is on record" in page
    assert "0.62" not in two.get(f"/alerts/{alert_id}").text


def test_a_score_is_never_shown_as_a_share_or_a_probability(world: World, alert_id: str) -> None:
    one = world.sign_in("Operator 1")
    one.judge(alert_id, "true_alert")
    page = one.get(f"/alerts/{alert_id}").text
    assert "%" not in page
    assert "probab" not in page.lower()


def test_the_first_look_may_show_the_score_when_the_option_says_so(tmp_path: Any) -> None:
    world = World(tmp_path, knobs={"first_look_hides_score": False, "calibration": "CALIBRATION WORDS"})
    world.order()
    alert_id = world.raise_alert(similarity=0.6234)
    page = world.sign_in("Operator 1").get(f"/alerts/{alert_id}").text
    assert "0.62" in page
    assert "CALIBRATION WORDS" in page
    world.service.close()


def test_the_same_person_cannot_judge_twice(world: World, alert_id: str) -> None:
    one = world.sign_in("Operator 1")
    one.judge(alert_id, "true_alert")
    assert "Are these the same person?" not in one.get(f"/alerts/{alert_id}").text
    refused = world.sign_in("Operator 1").judge(alert_id, "true_alert", version="2")
    assert refused.status_code == 403
    assert "You have judged this alert" in refused.text


def test_the_database_itself_refuses_a_second_judgement_of_a_person(world: World, alert_id: str) -> None:
    world.sign_in("Operator 1").judge(alert_id, "true_alert")
    again = JudgementRow(
        alert_id=alert_id, ordinal=2, person_id="operator-1", verdict="true_alert", reason="x", at_ns=0
    )
    with pytest.raises(IntegrityError), world.service._base.store.write() as db:
        db.add(again)


def test_an_answer_given_while_the_alert_changed_is_refused_clearly(world: World, alert_id: str) -> None:
    one, two = world.sign_in("Operator 1"), world.sign_in("Operator 2")
    looked_at = two.version(alert_id)
    one.judge(alert_id, "true_alert")
    refused = two.judge(alert_id, "true_alert", version=looked_at)
    assert refused.status_code == 409
    assert "Look again" in refused.text
    assert two.judge(alert_id, "true_alert").status_code == 303


def test_of_two_judgements_at_the_same_moment_one_is_taken(world: World, alert_id: str) -> None:
    verdicts = Verdicts(world.service._base.store, world.clock)
    start = threading.Barrier(2)
    results: list[str] = []

    def judge(number: int) -> None:
        person = Person(f"operator-{number}", f"Operator {number}", "operator")
        start.wait()
        try:
            results.append(verdicts.judge(Answer(alert_id, 1, "true_alert", "features_agree"), person))
        except Conflict:
            results.append("conflict")

    threads = [threading.Thread(target=judge, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["awaiting_second", "conflict"]


@pytest.mark.parametrize(
    "changes", [{"reason": "because"}, {"reason": "features_differ"}, {"verdict": "maybe"}, {"version": "x"}]
)
def test_an_incomplete_or_unlisted_answer_is_refused_and_changes_nothing(
    world: World, alert_id: str, changes: dict[str, str]
) -> None:
    one = world.sign_in("Operator 1")
    form = {"csrf": one.csrf(), "version": "1", "verdict": "true_alert", "reason": "features_agree"}
    refused = one.post(f"/alerts/{alert_id}/judgement", form | changes)
    assert refused.status_code == 422
    assert world.service.alerts()[0].state == "awaiting_first"


def test_a_label_that_is_markup_stays_text(world: World) -> None:
    world.references.label = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    world.order()
    alert_id = world.raise_alert()
    browser = world.sign_in("Operator 1")
    for path in ("/", f"/alerts/{alert_id}"):
        page = browser.get(path).text
        assert "&lt;script&gt;" in page
        assert "<script>" not in page
        assert "<img src=x" not in page


def test_judgements_sign_ins_and_outcomes_are_audited(world: World, alert_id: str) -> None:
    world.sign_in("Operator 1").judge(alert_id, "true_alert")
    rows = world.read(lambda db: [(r.person_id, r.action) for r in db.scalars(select(AuditRow))])
    assert rows == [
        ("overt", "alert.raise"),
        ("operator-1", "session.start"),
        ("operator-1", "alert.judge"),
    ]
    assert world.read(audit.first_broken) is None


def test_the_oldest_alert_that_awaits_the_person_comes_first(world: World) -> None:
    world.order()
    first = world.raise_alert(entry_id="entry-1")
    world.clock.advance(1)
    second = world.raise_alert(entry_id="entry-2", track_id="t2")

    def on_top(browser: Browser) -> str:
        found = re.search(r'data-stamp="([0-9a-f]{32}) ', browser.get("/").text)
        return found[1] if found else ""

    one = world.sign_in("Operator 1")
    assert "(2) Overt control room" in one.get("/").text
    assert on_top(one) == first
    one.judge(first, "true_alert")
    assert on_top(one) == second
    one.judge(second, "true_alert")
    assert "Nothing awaits you" in one.get("/").text
