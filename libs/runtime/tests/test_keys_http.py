"""Keys over HTTP, against a real server that behaves well and badly."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from overt.runtime.clock import ManualClock
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyGone, KeyKind, KeyRing
from overt.runtime.keys_http import (
    CHECK_EVERY_S,
    GONE_MAX_AGE_S,
    GONE_MAX_KEYS,
    LASTING_MAX_AGE_S,
    KeysRefused,
    KeysUnavailable,
    RemoteKeys,
    Retry,
)

TOKEN = "a-token-of-this-service"
LASTING = DataKey("camp/lasting", "camp", bytes(range(32)), None)


@dataclass
class Control:
    """Control's two pages over a real KeyRing; `mishaps` are answered first, one a request."""

    ring: KeyRing
    mishaps: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, token: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.mishaps:
            return self.mishaps.pop(0)
        if token != f"Bearer {TOKEN}":
            return 401, b""
        url = urlsplit(path)
        query = {name: given[0] for name, given in parse_qs(url.query).items()}
        try:
            key = self.key(url.path, query)
        except KeyGone:
            return 404, b""
        body = {
            "key_id": key.key_id,
            "scope": key.scope,
            "secret": base64.b64encode(key.secret).decode(),
            "not_after_s": key.not_after_s,
            "current_until_s": self.ring.current_until_s(key),
        }
        return 200, json.dumps(body).encode()

    def key(self, path: str, query: dict[str, str]) -> DataKey:
        if path == "/v1/keys/by-id":
            return self.ring.by_id(query["key_id"])
        assert path == "/v1/keys/current"
        kind: KeyKind = "lasting" if query["kind"] == "lasting" else "epoch"
        return self.ring.current(query["scope"], kind)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def control(clock: ManualClock) -> Iterator[Control]:
    control = Control(KeyRing(clock, epoch_s=300, linger_s=60))
    control.ring.open("camp", LASTING)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = control.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        control.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield control
        server.shutdown()
        thread.join()


def remote(
    control: Control, clock: ManualClock, token: str = TOKEN, pauses: list[float] | None = None
) -> RemoteKeys:
    noted = [] if pauses is None else pauses
    return RemoteKeys(control.url + "/", SecretStr(token), clock, retry=Retry(3, 0.2, sleep=noted.append))


@pytest.fixture
def keys(control: Control, clock: ManualClock) -> Iterator[RemoteKeys]:
    keys = remote(control, clock)
    yield keys
    keys.close()


def test_a_key_is_the_one_control_holds_and_is_asked_for_once(keys: RemoteKeys, control: Control) -> None:
    key = keys.current("camp", "epoch")
    assert key == control.ring.current("camp", "epoch")
    assert keys.current("camp", "epoch") == key
    assert keys.by_id(key.key_id) == key
    assert len(control.asked) == 1


def test_a_control_that_restarted_names_another_key_and_it_is_taken_over(
    keys: RemoteKeys, control: Control, clock: ManualClock
) -> None:
    before = keys.current("camp", "epoch")
    control.ring = KeyRing(clock)
    control.ring.open("camp", LASTING)
    assert keys.current("camp", "epoch") == before
    clock.advance(CHECK_EVERY_S)
    after = keys.current("camp", "epoch")
    assert after == control.ring.current("camp", "epoch") != before
    # What this process can open it can open to the key's end.
    assert keys.by_id(before.key_id) == before


def test_while_control_is_away_the_held_key_serves_and_is_asked_for_no_more_often(
    keys: RemoteKeys, control: Control, clock: ManualClock
) -> None:
    held = keys.current("camp", "epoch")
    for check in range(1, 4):
        control.mishaps += [(503, b"")]
        clock.advance(CHECK_EVERY_S)
        assert [keys.current("camp", "epoch") for _ in range(3)] == [held] * 3
        assert len(control.asked) == 1 + check


def test_a_held_key_does_not_outlive_its_epoch_because_control_is_away(
    keys: RemoteKeys, control: Control, clock: ManualClock
) -> None:
    keys.current("camp", "epoch")
    clock.advance(300)
    control.mishaps += [(503, b"")] * 3
    with pytest.raises(KeysUnavailable):
        keys.current("camp", "epoch")


def test_a_closed_scope_is_noticed_at_the_next_check(
    keys: RemoteKeys, control: Control, clock: ManualClock
) -> None:
    keys.current("camp", "epoch")
    control.ring.close("camp")
    clock.advance(CHECK_EVERY_S)
    for _ in range(2):
        with pytest.raises(KeyGone):
            keys.current("camp", "epoch")


def test_the_next_epoch_is_asked_for_and_the_past_one_can_still_be_read(
    keys: RemoteKeys, control: Control, clock: ManualClock
) -> None:
    first = keys.current("camp", "epoch")
    clock.advance(300)
    second = keys.current("camp", "epoch")
    assert second == control.ring.current("camp", "epoch") != first
    assert keys.by_id(first.key_id) == first


def test_an_expired_key_is_forgotten_here_too(keys: RemoteKeys, clock: ManualClock) -> None:
    key = keys.current("camp", "epoch")
    assert keys.held() == {key.key_id}
    clock.advance(360)
    assert keys.held() == frozenset()
    with pytest.raises(KeyGone):
        keys.by_id(key.key_id)


def test_a_lasting_key_is_asked_for_again_so_that_a_destroyed_one_goes(
    keys: RemoteKeys, control: Control, clock: ManualClock
) -> None:
    assert keys.current("camp", "lasting") == LASTING
    control.ring.close("camp")
    clock.advance(LASTING_MAX_AGE_S)
    with pytest.raises(KeyGone):
        keys.current("camp", "lasting")
    with pytest.raises(KeyGone):
        keys.by_id(LASTING.key_id)
    assert keys.held() == frozenset()


def test_forgetting_a_scope_drops_its_keys_and_no_other(keys: RemoteKeys, control: Control) -> None:
    control.ring.open("other")
    kept = keys.current("other", "epoch")
    keys.current("camp", "epoch")
    keys.current("camp", "lasting")
    keys.forget("camp")
    assert keys.held() == {kept.key_id}


def test_a_closed_scope_is_key_gone_and_not_a_failure(keys: RemoteKeys) -> None:
    with pytest.raises(KeyGone):
        keys.current("nowhere", "epoch")
    with pytest.raises(KeyGone):
        keys.current("nowhere", "lasting")


def test_a_gone_key_is_not_asked_for_by_every_record(
    keys: RemoteKeys, control: Control, clock: ManualClock
) -> None:
    for _ in range(5):
        with pytest.raises(KeyGone):
            keys.by_id("camp/epoch/gone")
    assert len(control.asked) == 1
    clock.advance(GONE_MAX_AGE_S)
    with pytest.raises(KeyGone):
        keys.by_id("camp/epoch/gone")
    assert len(control.asked) == 2


def test_made_up_key_ids_do_not_fill_the_memory(keys: RemoteKeys) -> None:
    for number in range(GONE_MAX_KEYS + 20):
        keys._remember_gone(str(number))
    assert len(keys._gone) == GONE_MAX_KEYS


def test_a_key_id_is_sent_as_it_is(keys: RemoteKeys, control: Control) -> None:
    odd = DataKey("camp/a b&c=d?é", "camp", bytes(32), None)
    control.ring.open("camp", odd)
    assert keys.by_id(odd.key_id) == odd


def test_a_failing_control_is_asked_again_with_growing_pauses(control: Control, clock: ManualClock) -> None:
    pauses: list[float] = []
    keys = remote(control, clock, pauses=pauses)
    control.mishaps += [(500, b""), (503, b"")]
    assert keys.current("camp", "epoch").scope == "camp"
    assert pauses == [0.2, 0.4]
    keys.close()


def test_a_control_that_stays_broken_is_an_error_and_not_a_gone_key(
    keys: RemoteKeys, control: Control
) -> None:
    control.mishaps += [(500, b"")] * 3
    with pytest.raises(KeysUnavailable, match="answered 500"):
        keys.current("camp", "epoch")
    assert not control.mishaps


def test_a_control_out_of_reach_is_named(clock: ManualClock) -> None:
    keys = RemoteKeys(
        "http://127.0.0.1:1", SecretStr(TOKEN), clock, retry=Retry(2, 0.0, sleep=lambda _: None)
    )
    with pytest.raises(KeysUnavailable, match=r"cannot reach control at http://127\.0\.0\.1:1"):
        keys.by_id("x")
    keys.close()


def test_a_refused_token_is_not_tried_again_and_not_shown(control: Control, clock: ManualClock) -> None:
    keys = remote(control, clock, token="not-the-right-token")
    with pytest.raises(KeysRefused, match="token") as caught:
        keys.current("camp", "epoch")
    assert "not-the-right-token" not in str(caught.value)
    assert len(control.asked) == 1
    keys.close()


SECRET = base64.b64encode(bytes(32)).decode()
GOOD = {
    "key_id": "camp/epoch/1",
    "scope": "camp",
    "secret": SECRET,
    "not_after_s": 2e9,
}


@pytest.mark.parametrize(
    "answer",
    [
        {**GOOD, "scope": "other"},
        {**GOOD, "secret": base64.b64encode(bytes(16)).decode()},
        {**GOOD, "secret": "%%%"},
        {**GOOD, "not_after_s": "soon"},
        {"key_id": "camp/epoch/1"},
        [],
    ],
    ids=["other scope", "short secret", "no base64", "no time", "no secret", "no object"],
)
def test_an_answer_that_is_no_key_is_refused_without_showing_it(
    keys: RemoteKeys, control: Control, answer: object
) -> None:
    control.mishaps.append((200, json.dumps(answer).encode()))
    with pytest.raises(KeysRefused) as caught:
        keys.current("camp", "epoch")
    assert SECRET not in str(caught.value)
    assert keys.held() == frozenset()


def test_another_key_than_asked_for_is_refused(keys: RemoteKeys, control: Control) -> None:
    control.mishaps.append((200, json.dumps(GOOD).encode()))
    with pytest.raises(KeysRefused, match="another key"):
        keys.by_id("camp/epoch/2")
