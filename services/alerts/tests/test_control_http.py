"""Control over HTTP: bounded patience, and one clear reason."""

import base64
from collections.abc import Callable

import httpx
import pytest
from pydantic import SecretStr

from overt.alerts.control_http import HttpReferences, HttpStop
from overt.alerts.desk import StopFailed
from overt.alerts.references import CardUnavailable, EntryCard

TOKEN = SecretStr("token-of-the-alerts-service")
CARD = {"label": "Entry One", "category": "blue_list", "picture": base64.b64encode(b"JPEG").decode()}
Handler = Callable[[httpx.Request], httpx.Response]


def references(handler: Handler, pauses: list[float] | None = None) -> HttpReferences:
    client = httpx.Client(transport=httpx.MockTransport(handler))
    kept = pauses if pauses is not None else []
    return HttpReferences("http://control/", TOKEN, client, pause=kept.append)


def test_a_card_is_asked_for_with_the_services_token() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/watchlists/list-1/entries/entry-1"
        assert request.headers["Authorization"] == f"Bearer {TOKEN.get_secret_value()}"
        return httpx.Response(200, json=CARD)

    assert references(answer).card("list-1", "entry-1") == EntryCard("Entry One", "blue_list", b"JPEG")


def test_a_line_that_breaks_is_tried_again_a_bounded_number_of_times() -> None:
    pauses: list[float] = []

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(CardUnavailable, match="control does not answer: ConnectError"):
        references(fail, pauses).card("list-1", "entry-1")
    assert pauses == [0.2, 1.0]


def test_a_line_that_recovers_gives_the_card() -> None:
    tries: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        if len(tries) < 3:
            raise httpx.ReadTimeout("slow")
        return httpx.Response(200, json=CARD)

    assert references(answer).card("list-1", "entry-1").label == "Entry One"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(503),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json={"label": "x"}),
        httpx.Response(200, json={**CARD, "picture": "not base64!"}),
    ],
)
def test_an_answer_that_is_no_card_is_unavailable_not_a_crash(answer: httpx.Response) -> None:
    with pytest.raises(CardUnavailable):
        references(lambda request: answer).card("list-1", "entry-1")


def test_a_stop_goes_to_control() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json={})

    HttpStop("http://control", TOKEN, httpx.Client(transport=httpx.MockTransport(answer)))(
        "dep-1", "operator-1"
    )
    assert asked == ["POST /v1/deployments/dep-1/stop"]


@pytest.mark.parametrize("failure", [httpx.Response(403), httpx.ConnectError("refused")])
def test_a_stop_that_control_did_not_take_is_never_silent(
    failure: httpx.Response | httpx.ConnectError,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(failure, httpx.Response):
            return failure
        raise failure

    stop = HttpStop("http://control", TOKEN, httpx.Client(transport=httpx.MockTransport(answer)))
    with pytest.raises(StopFailed):
        stop("dep-1", "operator-1")
