"""Control over HTTP, for services and officers that are other processes."""

import base64
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, StringConstraints

from overt.contracts.orders import Order, Purpose
from overt.control.access import RequireToken, Tokens
from overt.control.control import Control
from overt.control.policy import Category, OrderDraft, may_call, may_have_key
from overt.control.problems import install
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyGone, KeyKind

MAX_BODY_BYTES = 45_000_000  # a picture of 30 MB in base64, and the words around it

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class KeyAnswer(BaseModel):
    """A data key. `secret` is base64; times are UNIX seconds, None: no end."""

    key_id: str
    scope: str
    secret: str
    not_after_s: float | None
    current_until_s: float | None


class CardAnswer(BaseModel):
    """An entry as a judge sees it; `picture` is a JPEG in base64."""

    label: str
    category: str
    picture: str


class PictureBody(BaseModel):
    """One picture to enrol, in base64. JSON, because a form upload would be spooled to a file in the clear."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Annotated[str, Field(min_length=1, max_length=200)]
    category: Category
    picture: Base64Bytes


class PictureAnswer(BaseModel):
    """What became of it."""

    entry_id: str
    unchanged: bool


class DraftBody(BaseModel):
    """An order asked for; see OrderDraft."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    deployment_id: Id
    purpose: Purpose
    place: Annotated[str, Field(max_length=200)]
    starts_at_s: float
    ends_at_s: float
    camera_ids: Annotated[tuple[Id, ...], Field(max_length=64)]
    watchlist_id: Id
    threshold: float


def authorise(request: Request) -> str:
    """Return the caller if the policy lets it use this route, else answer 403."""
    caller: str = request.state.caller
    if not may_call(caller, request.scope["route"].name):
        raise HTTPException(403, "this token may not do that")
    return caller


Caller = Annotated[str, Depends(authorise)]


def make_app(control: Control, tokens: Tokens) -> FastAPI:
    """Return the API: deny by default, no generated documentation pages."""
    app = FastAPI(title="control", openapi_url=None, max_body_size=MAX_BODY_BYTES)
    for router in routers(control):
        app.include_router(router, prefix="/v1")
    app.add_middleware(RequireToken, tokens=tokens)
    install(app)
    return app


def routers(control: Control) -> tuple[APIRouter, ...]:
    """Every route there is; each asks the policy, by its name."""
    return _keys(control), _watchlists(control), _deployments(control)


def _keys(control: Control) -> APIRouter:
    router = APIRouter(dependencies=[Depends(authorise)])
    requests = control.metrics.key_requests

    @router.get("/keys/current")
    def current_key(caller: Caller, scope: str, kind: KeyKind) -> KeyAnswer:
        if not may_have_key(caller, scope, kind):
            requests.labels(caller, "denied").inc()
            raise HTTPException(403, "this token may not have that key")
        try:
            key = control.keys.current(scope, kind)
        except KeyGone:
            requests.labels(caller, "gone").inc()
            raise
        requests.labels(caller, "given").inc()
        return _key_answer(control, key)

    @router.get("/keys/by-id")
    def key_by_id(caller: Caller, key_id: str) -> KeyAnswer:
        try:
            key = control.keys.by_id(key_id)
        except KeyGone:
            requests.labels(caller, "gone").inc()
            raise
        if not may_have_key(caller, key.scope, "lasting" if key.not_after_s is None else "epoch"):
            # 404, as for a key that is gone: a record that names a foreign key is unreadable, no more.
            requests.labels(caller, "denied").inc()
            raise KeyGone("the key of this payload was destroyed")
        requests.labels(caller, "given").inc()
        return _key_answer(control, key)

    return router


def _watchlists(control: Control) -> APIRouter:
    router = APIRouter(dependencies=[Depends(authorise)])

    @router.get("/watchlists/{watchlist_id}/entries/{entry_id}")
    def entry_card(watchlist_id: Id, entry_id: Id) -> CardAnswer:
        card = control.entry_card(watchlist_id, entry_id)
        picture = base64.b64encode(card.picture_jpeg).decode()
        return CardAnswer(label=card.label, category=card.category, picture=picture)

    @router.post("/watchlists/{watchlist_id}/pictures", status_code=201)
    def enrol_picture(watchlist_id: Id, body: PictureBody) -> PictureAnswer:
        report = control.enrol_picture(body.picture, watchlist_id, label=body.label, category=body.category)
        entry_id = (report.accepted + report.unchanged)[0]
        return PictureAnswer(entry_id=entry_id, unchanged=bool(report.unchanged))

    return router


def _deployments(control: Control) -> APIRouter:
    router = APIRouter(dependencies=[Depends(authorise)])

    @router.post("/deployments", status_code=201)
    def issue_order(body: DraftBody) -> dict[str, object]:
        return _order_answer(control.issue_order(OrderDraft(**body.model_dump())))

    @router.get("/deployments")
    def list_orders() -> list[dict[str, object]]:
        return [_order_answer(order) for order in control.orders().values()]

    @router.post("/deployments/{deployment_id}/stop")
    def stop_deployment(deployment_id: Id) -> dict[str, object]:
        return _order_answer(control.stop(deployment_id))

    @router.post("/deployments/{deployment_id}/end")
    def end_deployment(deployment_id: Id) -> dict[str, object]:
        return _order_answer(control.end(deployment_id))

    return router


def _key_answer(control: Control, key: DataKey) -> KeyAnswer:
    return KeyAnswer(
        key_id=key.key_id,
        scope=key.scope,
        secret=base64.b64encode(key.secret).decode(),
        not_after_s=key.not_after_s,
        current_until_s=control.keys.current_until_s(key),
    )


def _order_answer(order: Order) -> dict[str, object]:
    answer: dict[str, object] = msgspec.to_builtins(order)
    return answer
