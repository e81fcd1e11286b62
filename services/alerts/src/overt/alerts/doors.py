"""Routes for signing in and out."""

import ipaddress
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from overt.alerts import audit
from overt.alerts.desk import COOKIE, Desk, PostedBy, TheDesk
from overt.alerts.judging import Person
from overt.alerts.rendering import message, page
from overt.alerts.sessions import SESSION_TTL_S

router = APIRouter()

USED_UP = "Each link signs one person in once, within 15 minutes. Start Overt again, or ask for a new link."


@router.get("/login")
def ask(desk: TheDesk, token: str = "") -> Response:
    """Show whose link it is and a button: a preview that only looks does not use the link up."""
    person = desk.doorkeeper.owner(token)
    if person is None:
        return message("This link no longer works", USED_UP, HTTPStatus.GONE)
    return page("login.html", person=person, token=token)


@router.post("/login")
def sign_in(request: Request, desk: TheDesk, token: Annotated[str, Form()] = "") -> Response:
    """Use the link up and begin a session."""
    if request.client is None or not _is_loopback(request.client.host):
        return message("Not from here", "One-time links work on this machine only.", HTTPStatus.FORBIDDEN)
    signed = desk.doorkeeper.sign_in(token)
    if signed is None:
        return message("This link no longer works", USED_UP, HTTPStatus.GONE)
    cookie, session = signed
    _remember(desk, session.person, "session.start")
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    response.set_cookie(COOKIE, cookie, max_age=SESSION_TTL_S, httponly=True, samesite="strict")
    return response


@router.post("/logout")
def sign_out(desk: TheDesk, session: PostedBy) -> Response:
    """End the session."""
    desk.doorkeeper.sign_out(session)
    _remember(desk, session.person, "session.end")
    response = message("Signed out", "You can close this window.", HTTPStatus.OK)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _remember(desk: Desk, person: Person, action: str) -> None:
    act = audit.Act(desk.clock.now_ns(), person.person_id, action, "control-room", person.role)
    with desk.store.write() as session:
        audit.append(session, act)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
