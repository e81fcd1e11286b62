"""The API: every route times every caller, what is answered, and what is never said."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr

from overt.control.access import Tokens, TokensWrong
from overt.control.api import MAX_BODY_BYTES, make_app, routers
from overt.control.control import Control
from overt.control.policy import ROUTE_ACCESS, SERVICES, OrderDraft
from overt.runtime.clock import ManualClock
from overt.runtime.keys import KeyGone
from overt.runtime.keys_http import KeysRefused, RemoteKeys

OFFICER_TOKEN = "officer-token-0123456789"
SERVICE_TOKENS: Mapping[str, str] = {name: f"{name}-token-0123456789" for name in SERVICES}
TOKENS: Mapping[str, str] = {"officer": OFFICER_TOKEN, **SERVICE_TOKENS}
NOW_S = 1_700_000_000.0

DRAFT: Mapping[str, object] = {
    "deployment_id": "d2",
    "purpose": "crime_hotspot",
    "place": "Station square",
    "starts_at_s": NOW_S,
    "ends_at_s": NOW_S + 60,
    "camera_ids": ["north"],
    "watchlist_id": "w1",
    "threshold": 0.5,
}
PICTURE = {"label": "Cy", "category": "blue_list", "picture": base64.b64encode(b"face cy").decode()}

# Every route by its name: method, path, body, and the status for a caller who may use it.
ROUTES: Mapping[str, tuple[str, str, Any, int]] = {
    "current_key": ("GET", "/v1/keys/current?scope=d1&kind=epoch", None, 200),
    "key_by_id": ("GET", "/v1/keys/by-id?key_id=nothing", None, 404),
    "entry_card": ("GET", "/v1/watchlists/w1/entries/ada", None, 200),
    "enrol_picture": ("POST", "/v1/watchlists/w2/pictures", PICTURE, 201),
    "issue_order": ("POST", "/v1/deployments", DRAFT, 201),
    "list_orders": ("GET", "/v1/deployments", None, 200),
    "stop_deployment": ("POST", "/v1/deployments/d1/stop", None, 200),
    "end_deployment": ("POST", "/v1/deployments/d1/end", None, 200),
}


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def bearer(caller: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[caller]}"}


@pytest.fixture
def control(bench: Any, draft: OrderDraft) -> Control:
    control: Control = bench.start()
    control.enrol_folder(bench.write(ada="face ada"), "w1", category="blue_list")
    control.issue_order(draft)
    return control


@pytest.fixture
def app(control: Control) -> FastAPI:
    services = {name: SecretStr(token) for name, token in SERVICE_TOKENS.items()}
    return make_app(control, Tokens(SecretStr(OFFICER_TOKEN), services))


def test_every_route_of_the_app_stands_in_the_access_table_and_in_this_test(control: Control) -> None:
    routes = [route for router in routers(control) for route in router.routes]
    names = {route.name for route in routes if isinstance(route, APIRoute)}
    assert len(names) == len(routes)
    assert names == set(ROUTE_ACCESS) == set(ROUTES)


BAD_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": "Bearer wrong-token-0123456789"},
    {"Authorization": f"Basic {OFFICER_TOKEN}"},
    {"Authorization": OFFICER_TOKEN},
    {"Authorization": f"Bearer {OFFICER_TOKEN}x"},
)


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_valid_token_no_route_answers(app: FastAPI, control: Control, route: str) -> None:
    method, path, body, _ = ROUTES[route]
    for headers in BAD_HEADERS:
        answer = ask(app, method, path, json=body, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert list(control.orders()) == ["d1"]
    assert control.orders()["d1"].state == "active"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("caller", TOKENS)
def test_a_caller_reaches_the_routes_of_the_table_and_no_other(
    app: FastAPI, control: Control, route: str, caller: str
) -> None:
    method, path, body, status = ROUTES[route]
    answer = ask(app, method, path, json=body, headers=bearer(caller))
    allowed = caller in ROUTE_ACCESS[route]
    if route == "current_key" and caller == "alerts":
        allowed = False  # may ask for keys, but not for an epoch's
    assert answer.status_code == (status if allowed else 403)
    assert answer.headers["cache-control"] == "no-store"
    if not allowed:
        assert answer.headers["content-type"] == "application/problem+json"
        assert list(control.orders()) == ["d1"]
        assert control.orders()["d1"].state == "active"


KEYS: Mapping[str, tuple[str, str]] = {
    "epoch": ("d1", "epoch"),
    "lasting": ("d1", "lasting"),
    "watchlist": ("watchlist.w1", "lasting"),
    "watchlist epoch": ("watchlist.w1", "epoch"),
    "pictures": ("pictures.w1", "lasting"),
}
GIVEN: Mapping[str, set[str]] = {
    "ingest": {"epoch"},
    "detect": {"epoch"},
    "embed": {"epoch"},
    "match": {"epoch", "lasting", "watchlist"},
    "alerts": {"lasting"},
    "officer": set(),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("caller", GIVEN)
def test_each_service_is_given_its_kinds_of_key_and_no_other(app: FastAPI, caller: str, kind: str) -> None:
    scope, key_kind = KEYS[kind]
    params = {"scope": scope, "kind": key_kind}
    answer = ask(app, "GET", "/v1/keys/current", params=params, headers=bearer(caller))
    assert (answer.status_code == 200) == (kind in GIVEN[caller])
    if answer.status_code != 200:
        assert answer.status_code == 403
        assert "secret" not in answer.text


@pytest.mark.parametrize("kind", ["epoch", "lasting", "watchlist"])
@pytest.mark.parametrize("caller", SERVICES)
def test_a_key_asked_for_by_id_is_given_only_to_who_may_have_its_kind(
    app: FastAPI, control: Control, caller: str, kind: str
) -> None:
    scope, key_kind = KEYS[kind]
    key = control.keys.current(scope, key_kind)  # type: ignore[arg-type]
    params = {"key_id": key.key_id}
    answer = ask(app, "GET", "/v1/keys/by-id", params=params, headers=bearer(caller))
    if kind in GIVEN[caller]:
        assert base64.b64decode(answer.json()["secret"]) == key.secret
    else:
        # As for a key that is gone: a record that names a foreign key must not end its reader.
        assert answer.status_code == 404
        assert "secret" not in answer.json()


def test_an_epoch_key_says_when_the_epoch_turns_and_when_the_key_dies(app: FastAPI) -> None:
    params = {"scope": "d1", "kind": "epoch"}
    answer = ask(app, "GET", "/v1/keys/current", params=params, headers=bearer("ingest")).json()
    assert set(answer) == {"key_id", "scope", "secret", "not_after_s", "current_until_s"}
    assert (answer["current_until_s"], answer["not_after_s"]) == (NOW_S + 300, NOW_S + 360)


def test_a_lasting_key_has_no_end(app: FastAPI) -> None:
    params = {"scope": "d1", "kind": "lasting"}
    answer = ask(app, "GET", "/v1/keys/current", params=params, headers=bearer("alerts")).json()
    assert (answer["current_until_s"], answer["not_after_s"]) == (None, None)


def remote(app: FastAPI, service: str) -> RemoteKeys:
    """The runtime's own client, answered by the app."""

    class Bridge(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = ask(app, request.method, str(request.url), headers=dict(request.headers))
            return httpx.Response(answer.status_code, content=answer.content)

    client = httpx.Client(transport=Bridge())
    return RemoteKeys("http://control", SecretStr(SERVICE_TOKENS[service]), ManualClock(NOW_S), client)


def test_the_runtime_client_and_this_api_understand_each_other(app: FastAPI, control: Control) -> None:
    keys = remote(app, "match")
    assert keys.current("d1", "epoch") == control.keys.current("d1", "epoch")
    assert keys.current("watchlist.w1", "lasting") == control.keys.current("watchlist.w1", "lasting")
    with pytest.raises(KeyGone):
        keys.current("d9", "epoch")
    with pytest.raises(KeyGone):
        keys.by_id("d1/epoch/0000")
    keys.close()


def test_the_runtime_client_is_told_that_it_may_not_have_a_key(app: FastAPI) -> None:
    keys = remote(app, "ingest")
    with pytest.raises(KeysRefused, match="may not have that key"):
        keys.current("watchlist.w1", "lasting")
    keys.close()


def test_an_entry_card_holds_label_category_and_picture(app: FastAPI) -> None:
    answer = ask(app, "GET", "/v1/watchlists/w1/entries/ada", headers=bearer("alerts")).json()
    assert set(answer) == {"label", "category", "picture"}
    assert (answer["label"], answer["category"]) == ("ada", "blue_list")
    assert b"portrait of face ada" in base64.b64decode(answer["picture"])


@pytest.mark.parametrize("path", ["w9/entries/ada", "w1/entries/nobody"])
def test_an_unknown_entry_is_not_found(app: FastAPI, path: str) -> None:
    assert ask(app, "GET", f"/v1/watchlists/{path}", headers=bearer("alerts")).status_code == 404


def test_a_refused_draft_answers_with_every_reason(app: FastAPI) -> None:
    body = {**DRAFT, "threshold": 0.1, "place": " "}
    answer = ask(app, "POST", "/v1/deployments", json=body, headers=bearer("officer"))
    assert answer.status_code == 422
    assert len(answer.json()["reasons"]) == 2


@pytest.mark.parametrize(
    "change", [{"purpose": "other"}, {"starts_at_s": "soon"}, {"camera_ids": "north"}, {"extra": 1}]
)
def test_a_draft_of_the_wrong_form_is_refused(app: FastAPI, change: dict[str, object]) -> None:
    answer = ask(app, "POST", "/v1/deployments", json={**DRAFT, **change}, headers=bearer("officer"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_answer_never_repeats_what_was_sent_wrongly(app: FastAPI) -> None:
    body = {"label": "Ada Novak", "category": "secret-category", "picture": "not base64 Ada"}
    answer = ask(app, "POST", "/v1/watchlists/w2/pictures", json=body, headers=bearer("officer"))
    assert answer.status_code == 422
    assert "Ada" not in answer.text
    assert "secret-category" not in answer.text


def test_a_picture_for_a_list_in_use_is_a_conflict(app: FastAPI) -> None:
    answer = ask(app, "POST", "/v1/watchlists/w1/pictures", json=PICTURE, headers=bearer("officer"))
    assert answer.status_code == 409
    assert "in use by deployment d1" in answer.json()["detail"]


def test_a_picture_that_is_refused_answers_why(app: FastAPI) -> None:
    body = {**PICTURE, "picture": base64.b64encode(b"refuse several faces").decode()}
    answer = ask(app, "POST", "/v1/watchlists/w2/pictures", json=body, headers=bearer("officer"))
    assert answer.status_code == 422
    assert answer.json()["reasons"] == ["several faces"]


def test_a_picture_sent_again_changes_nothing(app: FastAPI) -> None:
    first, second = (
        ask(app, "POST", "/v1/watchlists/w2/pictures", json=PICTURE, headers=bearer("officer")).json()
        for _ in range(2)
    )
    assert first == {"entry_id": "Cy", "unchanged": False}
    assert second == {"entry_id": "Cy", "unchanged": True}


def test_a_body_over_the_limit_is_refused(app: FastAPI) -> None:
    body = b'{"label": "' + b"x" * MAX_BODY_BYTES + b'"}'
    headers = {**bearer("officer"), "Content-Type": "application/json"}
    answer = ask(app, "POST", "/v1/watchlists/w2/pictures", content=body, headers=headers)
    assert answer.status_code == 413


def test_the_api_describes_itself_to_nobody(app: FastAPI) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert ask(app, "GET", path, headers=bearer("officer")).status_code == 404


def test_an_error_inside_is_one_problem_without_its_text(
    app: FastAPI, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the secret of Ada")

    monkeypatch.setattr(control, "entry_card", fail)
    answer = ask(app, "GET", "/v1/watchlists/w1/entries/ada", headers=bearer("alerts"))
    assert answer.status_code == 500
    assert "Ada" not in answer.text


@pytest.mark.parametrize(
    ("officer", "services", "words"),
    [
        ("short", {}, "at least 16"),
        (OFFICER_TOKEN, {"match": "short"}, "at least 16"),
        (OFFICER_TOKEN, {"match": OFFICER_TOKEN}, "share a token"),
        (OFFICER_TOKEN, {"matcher": "m" * 20}, "unknown services: matcher"),
    ],
)
def test_tokens_that_can_not_be_used_are_refused_without_being_shown(
    officer: str, services: dict[str, str], words: str
) -> None:
    with pytest.raises(TokensWrong, match=words) as refused:
        Tokens(SecretStr(officer), {name: SecretStr(token) for name, token in services.items()})
    assert officer not in str(refused.value)
