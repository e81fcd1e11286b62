"""The parts that the pages work with, and who is asking: what every route is given."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast
from zoneinfo import ZoneInfo

from fastapi import Depends, Form, HTTPException, Request

from overt.alerts.board import Board
from overt.alerts.judging import Person
from overt.alerts.pictures import PictureLinks, Vault
from overt.alerts.sessions import Doorkeeper, SignedIn, csrf_matches
from overt.alerts.settings import AlertsOptions
from overt.alerts.sse import LiveStream
from overt.alerts.store import Store
from overt.alerts.verdicts import Verdicts
from overt.alerts.views import Viewer
from overt.runtime.clock import Clock

COOKIE = "overt_session"
STOP_ROLES = frozenset(("operator", "supervisor"))


class StopFailed(Exception):
    """The deployment could not be stopped; the text says why and is shown to who tried."""


StopDeployment = Callable[[str, str], None]
"""Stops a deployment (id) in the name of a person (id). Raises StopFailed."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything behind the pages."""

    options: AlertsOptions
    clock: Clock
    store: Store
    vault: Vault
    links: PictureLinks
    verdicts: Verdicts
    doorkeeper: Doorkeeper
    board: Board
    stream: LiveStream
    on_judged: Callable[[str], None]
    stop_deployment: StopDeployment | None

    def viewer(self, person: Person) -> Viewer:
        """Return how pages are to be drawn for `person`."""
        zone = ZoneInfo(self.options.timezone) if self.options.timezone else None
        return Viewer(
            person=person,
            people=self.doorkeeper.people,
            zone=zone,
            first_look_hides_score=self.options.first_look_hides_score,
            calibration=self.options.calibration,
        )


def desk_of(request: Request) -> Desk:
    """Return the desk of the application."""
    return cast("Desk", request.app.state.desk)


TheDesk = Annotated[Desk, Depends(desk_of)]


def signed_in(request: Request, desk: TheDesk) -> SignedIn:
    """Return the session. Refuses whoever is not signed in."""
    session = desk.doorkeeper.session(request.cookies.get(COOKIE))
    if session is None:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "Sign in with the link that was printed at the start.")
    return session


TheSession = Annotated[SignedIn, Depends(signed_in)]


def posted(session: TheSession, csrf: Annotated[str, Form()] = "") -> SignedIn:
    """Return the session of a form that really came from one of its pages."""
    if not csrf_matches(session, csrf):
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "The form is not from this session. Go back and load the page again."
        )
    return session


PostedBy = Annotated[SignedIn, Depends(posted)]
