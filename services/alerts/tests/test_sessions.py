"""Signing in: once, in time, on this machine; and out."""

import pytest
from pydantic import ValidationError

from overt.alerts.sessions import LINK_TTL_S, SESSION_TTL_S, Doorkeeper, roster
from overt.alerts.settings import AlertsOptions
from overt.runtime.clock import ManualClock
from services.alerts.tests.conftest import World


def test_looking_at_a_link_does_not_use_it_up(world: World) -> None:
    link, browser = world.link("Operator 1"), world.browser()
    for _ in range(3):
        assert "Sign in as Operator 1" in browser.get(link).text
    assert browser.use_link(link).status_code == 303
    assert browser.get("/").status_code == 200


def test_a_link_signs_in_once(world: World) -> None:
    link = world.link("Operator 1")
    world.browser().use_link(link)
    thief = world.browser()
    assert thief.get(link).status_code == 410
    assert thief.use_link(link).status_code == 410
    assert thief.get("/").status_code == 401


def test_a_link_expires(world: World) -> None:
    link, browser = world.link("Operator 1"), world.browser()
    world.clock.advance(LINK_TTL_S)
    assert browser.use_link(link).status_code == 410


def test_a_link_works_on_this_machine_only_and_an_attempt_does_not_use_it_up(world: World) -> None:
    link = world.link("Operator 1")
    token = link.partition("token=")[2]
    answer = world.browser().post("/login", {"token": token}, client=("192.0.2.7", 1))
    assert answer.status_code == 403
    assert world.browser().use_link(link).status_code == 303


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(world: World) -> None:
    cookie = world.browser().use_link(world.link("Operator 1")).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_session_ends_by_signing_out_and_by_time(world: World) -> None:
    one, two = world.sign_in("Operator 1"), world.sign_in("Operator 2")
    kept = dict(one.cookies)
    one.post("/logout", {"csrf": one.csrf()})
    one.cookies.update(kept)
    assert one.get("/").status_code == 401
    assert two.get("/").status_code == 200
    world.clock.advance(SESSION_TTL_S)
    assert two.get("/").status_code == 401


def test_a_restart_signs_everybody_out(world: World) -> None:
    browser, link = world.sign_in("Operator 1"), world.link("Operator 2")
    world.restart()
    again = world.browser()
    again.cookies = browser.cookies
    assert again.get("/").status_code == 401
    assert again.use_link(link).status_code == 410


def test_tokens_have_256_bits_and_only_their_digests_are_kept() -> None:
    keeper = Doorkeeper(roster(2, 1, 1), ManualClock())
    token = keeper.new_token(keeper.people["operator-1"])
    assert len(bytes.fromhex(token)) == 32
    signed = keeper.sign_in(token)
    assert signed is not None
    held = repr((keeper._tokens, keeper._sessions))
    assert token not in held
    assert signed[0] not in held


def test_people_are_named_by_role_and_numbered_where_there_are_several(world: World) -> None:
    people = [(name, role) for name, role, _ in world.service.login_links("http://127.0.0.1:1/")]
    assert people == [
        ("Operator 1", "operator"),
        ("Operator 2", "operator"),
        ("Engagement officer", "engagement_officer"),
        ("Supervisor", "supervisor"),
    ]


@pytest.mark.parametrize(
    "wrong", [{"host": "0.0.0.0"}, {"operators": 1}, {"window_s": 0}, {"timezone": "Mars/North"}]
)
def test_options_that_would_break_a_rule_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ValidationError, KeyError)):
        AlertsOptions.model_validate({"database_url": "sqlite:///x.db", **wrong})
