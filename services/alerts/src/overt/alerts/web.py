"""The control room as an ASGI application."""

from collections.abc import Collection
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from overt.alerts import decisions, doors, pages
from overt.alerts.desk import Desk
from overt.alerts.guard import Guard
from overt.alerts.judging import Conflict, Forbidden, Refused
from overt.alerts.rendering import STATIC, message
from overt.alerts.verdicts import UnknownAlert
from overt.runtime.loop import Unavailable


def create_app(desk: Desk, hosts: Collection[str]) -> FastAPI:
    """Return the application, served under `hosts` only. It describes itself to nobody: no OpenAPI pages."""
    app = FastAPI(title="Overt control room", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.desk = desk
    app.add_middleware(Guard, hosts=hosts)
    for router in (doors.router, pages.router, decisions.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _incomplete)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(UnknownAlert, _unknown)
    app.add_exception_handler(Unavailable, _away)
    return app


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return message(HTTPStatus(error.status_code).phrase, error.detail, error.status_code)


def _incomplete(_: Request, __: Exception) -> Response:
    text = "Give an answer and a reason. Go back and fill in the form."
    return message("The form is incomplete", text, HTTPStatus.UNPROCESSABLE_ENTITY)


def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, Conflict):
        return message("Look again", str(error), HTTPStatus.CONFLICT)
    if isinstance(error, Forbidden):
        return message("Not yours to decide", str(error), HTTPStatus.FORBIDDEN)
    return message("Not taken", str(error), HTTPStatus.UNPROCESSABLE_ENTITY)


def _unknown(_: Request, __: Exception) -> Response:
    return message("Not found", "There is no such alert.", HTTPStatus.NOT_FOUND)


def _away(_: Request, __: Exception) -> Response:
    text = (
        "The database does not answer. What you gave may not be stored: look again in a moment, then decide."
    )
    return message("Not now", text, HTTPStatus.SERVICE_UNAVAILABLE)
