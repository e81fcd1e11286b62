"""Turns what control refuses into problem documents (RFC 9457) that never repeat what was sent."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from overt.control.errors import (
    AllRefused,
    ControlError,
    DraftRefused,
    ListErased,
    ListFull,
    ListInUse,
    Unknown,
    WrongPack,
)
from overt.runtime.keys import KeyGone

STATUS: Mapping[type[Exception], HTTPStatus] = {
    DraftRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    AllRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unknown: HTTPStatus.NOT_FOUND,
    KeyGone: HTTPStatus.NOT_FOUND,
    ListErased: HTTPStatus.GONE,
    ListInUse: HTTPStatus.CONFLICT,
    ListFull: HTTPStatus.CONFLICT,
    WrongPack: HTTPStatus.CONFLICT,
}


def problem(status: HTTPStatus, detail: str, reasons: tuple[str, ...] = ()) -> JSONResponse:
    """Return a problem document."""
    body: dict[str, object] = {"title": status.phrase, "status": int(status), "detail": detail}
    if reasons:
        body["reasons"] = reasons
    return JSONResponse(body, status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every refusal of `app` with a problem document."""
    app.add_exception_handler(ControlError, _refused)
    app.add_exception_handler(KeyGone, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)


def _refused(_: Request, error: Exception) -> JSONResponse:
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    reasons = error.reasons if isinstance(error, DraftRefused) else ()
    if isinstance(error, AllRefused):
        reasons = tuple(reason for _, reason in error.refused)
    return problem(status, str(error), reasons)


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(HTTPStatus(error.status_code), str(error.detail))


def _invalid(_: Request, error: Exception) -> JSONResponse:
    # The library's own answer repeats the input, which may be a picture or a name.
    assert isinstance(error, RequestValidationError)
    wrong = tuple(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not as it should be", wrong)


def _failed(_: Request, __: Exception) -> JSONResponse:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "control failed; its log says where")
