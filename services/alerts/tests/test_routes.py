"""Every route, for everybody: signed in or not, each role, from here or from elsewhere."""

import math
from typing import Never

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from overt.alerts import decisions, doors, pages
from overt.alerts.database import DatabaseAway
from overt.alerts.desk import StopFailed
from overt.alerts.judging import Role
from overt.alerts.tables import AuditRow
from services.alerts.tests.conftest import DEPLOYMENT, World

NAMES: dict[Role, str] = {
    "operator": "Operator 1",
    "engagement_officer": "Engagement officer",
    "supervisor": "Supervisor",
}
OPEN = {("GET", "/login"), ("POST", "/login")}
# What each role gets for a well-formed request on an alert that awaits its first judgement.
MATRIX: dict[tuple[str, str], dict[Role, int]] = {
    ("GET", "/"): {"operator": 200, "engagement_officer": 200, "supervisor": 200},
    ("GET", "/alerts/{alert_id}"): {"operator": 200, "engagement_officer": 200, "supervisor": 200},
    ("GET", "/pictures/{alert_id}/{kind}"): {"operator": 410, "engagement_officer": 410, "supervisor": 410},
    ("POST", "/logout"): {"operator": 200, "engagement_officer": 200, "supervisor": 200},
    ("POST", "/alerts/{alert_id}/judgement"): {"operator": 303, "engagement_officer": 403, "supervisor": 403},
    ("POST", "/alerts/{alert_id}/outcome"): {"operator": 403, "engagement_officer": 409, "supervisor": 409},
    ("POST", "/deployments/{deployment_id}/stop"): {
        "operator": 303,
        "engagement_officer": 403,
        "supervisor": 303,
    },
}
STREAM = ("GET", "/events")  # endless: test_sse.py reads it
FORM = {
    "version": "1",
    "verdict": "true_alert",
    "reason": "features_agree",
    "engagement": "confirmed_true",
    "outcome": "arrest",
}


@pytest.fixture
def alert_id(world: World) -> str:
    world.order()
    return world.raise_alert()


def filled(path: str, alert_id: str) -> str:
    return path.format(alert_id=alert_id, kind="portrait", deployment_id=DEPLOYMENT)


def routes() -> set[tuple[str, str]]:
    routers = (doors.router, pages.router, decisions.router)
    return {
        (method, route.path)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def test_every_route_stands_in_the_matrix() -> None:
    assert routes() == MATRIX.keys() | OPEN | {STREAM}


@pytest.mark.parametrize(("method", "path"), [*MATRIX, STREAM])
def test_nobody_gets_in_without_signing_in(world: World, alert_id: str, method: str, path: str) -> None:
    stranger = world.browser()
    stranger.cookies.set("overt_session", "0" * 64, domain="127.0.0.1")
    data = None if method == "GET" else FORM
    answer = stranger._request(method, filled(path, alert_id), data=data)
    assert answer.status_code == 401
    assert "Sign in with the link" in answer.text
    assert "Entry One" not in answer.text


@pytest.mark.parametrize("role", NAMES)
@pytest.mark.parametrize("route", MATRIX)
def test_each_role_may_do_what_its_row_says(
    world: World, alert_id: str, route: tuple[str, str], role: Role
) -> None:
    method, path = route
    browser = world.sign_in(NAMES[role])
    data = None if method == "GET" else {**FORM, "csrf": browser.csrf()}
    answer = browser._request(method, filled(path, alert_id), data=data)
    assert answer.status_code == MATRIX[method, path][role], answer.text


@pytest.mark.parametrize(("method", "path"), [key for key in MATRIX if key[0] == "POST"])
def test_a_form_without_its_sessions_token_is_refused(
    world: World, alert_id: str, method: str, path: str
) -> None:
    one, two = world.sign_in("Operator 1"), world.sign_in("Operator 2")
    for token in ({}, {"csrf": ""}, {"csrf": two.csrf()}):
        answer = one.post(filled(path, alert_id), {**FORM, **token})
        assert answer.status_code == 403
    assert world.service.alerts()[0].state == "awaiting_first"
    assert world.stopped == []


@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1.evil.example", "", "[::1"])
def test_a_name_that_is_not_of_this_machine_gets_nothing(world: World, host: str) -> None:
    browser = world.sign_in("Operator 1")
    assert browser.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:9", "[::1]:8080"])
def test_the_names_of_this_machine_are_served(world: World, host: str) -> None:
    assert world.browser().get("/login", headers={"Host": host}).status_code == 410


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_form_of_another_site_is_refused(world: World, alert_id: str, origin: str) -> None:
    browser = world.sign_in("Operator 1")
    form = {**FORM, "csrf": browser.csrf()}
    answer = browser.post(f"/alerts/{alert_id}/judgement", form, headers={"Origin": origin})
    assert answer.status_code == 403
    same = browser.post(f"/alerts/{alert_id}/judgement", form, headers={"Origin": "http://127.0.0.1:8080"})
    assert same.status_code == 303


def test_an_oversize_form_is_refused_unread(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 1")
    answer = browser.post(f"/alerts/{alert_id}/judgement", {"reason": "x" * 20_000})
    assert answer.status_code == 413


def test_pages_allow_no_script_or_style_but_the_files_that_ship(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 1")
    for path in ("/", f"/alerts/{alert_id}", "/login?token=x", "/nothing"):
        answer = browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        for inline in ("<style", "style=", "onclick=", "onload=", "javascript:", "https://"):
            assert inline not in answer.text
        for script in answer.text.split("<script")[1:]:
            assert script.startswith(' type="module" src="/static/live.js"></script>')


@pytest.mark.parametrize("name", ["room.css", "live.js", "icon.svg"])
def test_static_files_ship_with_the_package(world: World, name: str) -> None:
    assert world.browser().get(f"/static/{name}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/docs", "/openapi.json", "/redoc", "/static/../settings.py", "/alerts/x/y"]
)
def test_there_is_nothing_else(world: World, path: str) -> None:
    assert world.sign_in("Operator 1").get(path).status_code == 404


def test_an_unknown_alert_is_not_found(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 1")
    assert browser.get("/alerts/none").status_code == 404
    form = {**FORM, "csrf": browser.csrf()}
    assert browser.post("/alerts/none/judgement", form).status_code == 404
    assert browser.post("/alerts/none/outcome", form).status_code == 404


def test_a_stop_is_one_form_and_names_who_stopped(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 2")
    assert "Stop capture now" in browser.get("/").text
    answer = browser.post(f"/deployments/{DEPLOYMENT}/stop", {"csrf": browser.csrf()})
    assert answer.status_code == 303
    assert world.stopped == [(DEPLOYMENT, "operator-2")]
    acts = world.read(lambda db: [(r.person_id, r.action, r.subject) for r in db.scalars(select(AuditRow))])
    assert acts[-1] == ("operator-2", "deployment.stop", DEPLOYMENT)


def test_a_stop_that_failed_says_so_and_is_audited(world: World, alert_id: str) -> None:
    def fail(deployment_id: str, person_id: str) -> None:
        raise StopFailed("control does not answer")

    world._stop = fail  # type: ignore[method-assign]
    world.restart()
    world.order(revision=2)
    browser = world.sign_in("Operator 1")
    answer = browser.post(f"/deployments/{DEPLOYMENT}/stop", {"csrf": browser.csrf()})
    assert answer.status_code == 503
    assert "NOT stopped: control does not answer" in answer.text
    acts = world.read(lambda db: [r.action for r in db.scalars(select(AuditRow))])
    assert acts[-1] == "deployment.stop_failed"


def test_without_an_order_the_page_says_that_nothing_is_captured(world: World) -> None:
    browser = world.sign_in("Operator 1")
    assert "No active order: nothing is captured" in browser.get("/").text
    assert "Stop capture now" not in browser.get("/").text
    world.order()
    page = browser.get("/").text
    for words in ("Watching", "Market Square", "gate-north, gate-south", "Protective operation, event"):
        assert words in page
    assert "data-faces>7<" in page
    world.order(revision=2, state="stopped")
    page = browser.get("/").text
    assert "No active order: nothing is captured" in page
    assert "stopped" in page


def test_an_order_that_ran_out_by_itself_is_not_shown_as_active(world: World) -> None:
    world.order()
    world.clock.advance(4000)
    assert "No active order" in world.sign_in("Operator 1").get("/").text


def test_a_database_that_is_away_is_said_in_words_and_metrics_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.sign_in("Operator 1")

    def away() -> Never:
        raise DatabaseAway("gone")

    monkeypatch.setattr(world.service._base.store, "read", away)
    answer = browser.get("/")
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert math.isnan(world.metric("overt_alerts_unjudged"))
