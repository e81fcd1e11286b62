"""Data keys asked for over HTTP from the service that makes them (control), and forgotten on time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

import httpx
import msgspec
import structlog
from pydantic import SecretStr

from overt.runtime.clock import Clock
from overt.runtime.envelope import KEY_BYTES, DataKey
from overt.runtime.keys import KeyGone, KeyKind
from overt.runtime.loop import Unavailable

log = structlog.get_logger()

REQUEST_TIMEOUT_S = 5.0
# The key to seal with is asked for again this often. Control's epoch keys live in its memory: after its restart
# it names another, and what is sealed with the old one can't be opened by a reader that restarts too.
CHECK_EVERY_S = 2.0
# A check is worth this wait, not a longer one: there is a key to go on with.
CHECK_TIMEOUT_S = 0.5
# A key without an end is asked for again after this long: so a destroyed one is gone here too by then.
LASTING_MAX_AGE_S = 60.0
# That a key is gone is remembered this long, for this many keys: a backlog under one destroyed key
# must not become one request a record. Not for long: a control that only just started may know more soon.
GONE_MAX_AGE_S = 5.0
GONE_MAX_KEYS = 1_000


REFUSALS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "it does not know this service's token",
    HTTPStatus.FORBIDDEN: "this service's token may not have that key",
}


class KeysUnavailable(Unavailable):
    """Control could not be asked now, or failed: it may answer later."""


class KeysRefused(Exception):
    """Control refuses this service, or its answer is not what was asked: no asking again mends that."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failing request is made, with a pause that doubles from `first_pause_s`."""

    attempts: int = 3
    first_pause_s: float = 0.2
    sleep: Callable[[float], None] = time.sleep


class _Answer(msgspec.Struct, frozen=True):
    """Control's answer. `secret` is base64; times are UNIX seconds, UTC; None: no end."""

    key_id: str
    scope: str
    secret: bytes
    not_after_s: float | None
    current_until_s: float | None = None

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a secret has {KEY_BYTES} bytes")

    def __repr__(self) -> str:
        return f"_Answer({self.key_id!r})"


@dataclass(frozen=True, slots=True)
class _Held:
    """A key, until when it may be used (UNIX time) and when control is to be asked again (monotonic)."""

    key: DataKey
    until_s: float
    check_s: float = 0.0


class RemoteKeys:
    """Asks control for keys and keeps each no longer than it may exist. Safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        clock: Clock,
        client: httpx.Client | None = None,
        *,
        retry: Retry = Retry(),
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._clock = clock
        # No proxy from the environment: keys go to control and nowhere else.
        self._client = client or httpx.Client(timeout=REQUEST_TIMEOUT_S, trust_env=False)
        self._retry = retry
        self._lock = threading.Lock()
        self._by_id: dict[str, _Held] = {}
        self._current: dict[tuple[str, KeyKind], _Held] = {}
        self._gone: OrderedDict[str, float] = OrderedDict()

    def current(self, scope: str, kind: KeyKind) -> DataKey:
        """See KeySource. Raises KeysRefused, and KeysUnavailable when control can't be asked and none is held.

        Control is asked again every CHECK_EVERY_S; while it is away the held key serves to its end.
        """
        with self._lock:
            self._forget_expired()
            held = self._current.get((scope, kind))
            now_s = self._clock.monotonic_s()
            if held is not None and now_s < held.check_s:
                return held.key
            if held is not None:  # this thread checks, the others go on with what there is
                self._current[scope, kind] = replace(held, check_s=now_s + CHECK_EVERY_S)
        try:
            answer = self._ask("current", {"scope": scope, "kind": kind}, checking=held is not None)
        except KeysUnavailable:
            if held is None:
                raise
            return held.key
        if answer is None:
            self._drop_current(scope, kind)
            raise KeyGone(f"no {kind} key for {scope}")
        if answer.scope != scope:
            raise KeysRefused("control answered with a key of another scope")
        return self._keep(answer, kind)

    def by_id(self, key_id: str) -> DataKey:
        """See KeySource. Raises KeysRefused, and KeysUnavailable when control can't be asked."""
        with self._lock:
            self._forget_expired()
            held = self._by_id.get(key_id)
            gone = key_id in self._gone
        if held is not None:
            return held.key
        answer = None if gone else self._ask("by-id", {"key_id": key_id})
        if answer is None:
            self._remember_gone(key_id)
            raise KeyGone("the key of this payload was destroyed")
        if answer.key_id != key_id:
            raise KeysRefused("control answered with another key")
        return self._keep(answer, None)

    def forget(self, scope: str) -> None:
        """Drop every key of `scope` now: its deployment ended."""
        with self._lock:
            self._by_id = {i: held for i, held in self._by_id.items() if held.key.scope != scope}
            self._current = {at: held for at, held in self._current.items() if held.key.scope != scope}

    def held(self) -> frozenset[str]:
        """Ids of the keys in memory now."""
        with self._lock:
            self._forget_expired()
            return frozenset(self._by_id) | {held.key.key_id for held in self._current.values()}

    def close(self) -> None:
        """Disconnect and forget every key."""
        self._client.close()
        with self._lock:
            self._by_id.clear()
            self._current.clear()

    def _keep(self, answer: _Answer, kind: KeyKind | None) -> DataKey:
        key = DataKey(answer.key_id, answer.scope, answer.secret, answer.not_after_s)
        latest_s = self._clock.now_s() + LASTING_MAX_AGE_S
        until_s = latest_s if key.not_after_s is None else key.not_after_s
        with self._lock:
            self._by_id[key.key_id] = _Held(key, until_s)
            if kind is not None:
                turn_s = until_s if answer.current_until_s is None else answer.current_until_s
                check_s = self._clock.monotonic_s() + CHECK_EVERY_S
                self._current[key.scope, kind] = _Held(key, min(turn_s, until_s), check_s)
        return key

    def _drop_current(self, scope: str, kind: KeyKind) -> None:
        with self._lock:
            self._current.pop((scope, kind), None)

    def _forget_expired(self) -> None:
        now_s = self._clock.now_s()
        self._by_id = {i: held for i, held in self._by_id.items() if now_s < held.until_s}
        self._current = {at: held for at, held in self._current.items() if now_s < held.until_s}
        while self._gone and next(iter(self._gone.values())) <= now_s:
            self._gone.popitem(last=False)

    def _remember_gone(self, key_id: str) -> None:
        with self._lock:
            self._gone.setdefault(key_id, self._clock.now_s() + GONE_MAX_AGE_S)
            while len(self._gone) > GONE_MAX_KEYS:
                self._gone.popitem(last=False)

    def _ask(self, what: str, params: dict[str, str], *, checking: bool = False) -> _Answer | None:
        """Return control's answer, or None when there is no such key; a check is made once, others again."""
        problem = ""
        timeout_s = CHECK_TIMEOUT_S if checking else REQUEST_TIMEOUT_S
        for attempt in range(1 if checking else self._retry.attempts):
            if attempt:
                log.debug("asking control for a key again", attempt=attempt + 1, reason=problem)
                self._retry.sleep(self._retry.first_pause_s * 2 ** (attempt - 1))
            try:
                response = self._client.get(
                    f"{self._base_url}/v1/keys/{what}",
                    params=params,
                    headers={"Authorization": f"Bearer {self._token.get_secret_value()}"},
                    timeout=timeout_s,
                )
            except httpx.HTTPError as error:
                problem = f"cannot reach control at {self._base_url}: {type(error).__name__}"
                continue
            if response.status_code == HTTPStatus.NOT_FOUND:
                return None
            if response.status_code == HTTPStatus.OK:
                return _decode(response.content)
            problem = f"control at {self._base_url} answered {response.status_code}"
            if response.status_code in REFUSALS:
                raise KeysRefused(f"{problem}: {REFUSALS[response.status_code]}")
        raise KeysUnavailable(problem)


def _decode(content: bytes) -> _Answer:
    try:
        return msgspec.json.decode(content, type=_Answer)
    except msgspec.DecodeError:
        # The decoder's text may show what was in the answer: a key.
        raise KeysRefused("control's answer is no key") from None
