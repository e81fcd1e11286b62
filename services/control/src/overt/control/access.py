"""Who is calling: bearer tokens, compared in constant time, asked for before anything of a request is read."""

import hashlib
import hmac
import json
from collections.abc import Mapping

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from overt.control.policy import OFFICER, SERVICES

MIN_TOKEN_CHARACTERS = 16


class TokensWrong(ValueError):
    """The tokens can't be used. The text never shows one."""


class Tokens:
    """The token of the officer and of each service, held as hashes."""

    def __init__(self, officer: SecretStr, services: Mapping[str, SecretStr]) -> None:
        """Raises TokensWrong for an unknown service, a short token, or one token for two."""
        unknown = sorted(set(services) - set(SERVICES))
        if unknown:
            raise TokensWrong(f"tokens are given for unknown services: {', '.join(unknown)}")
        secrets = {OFFICER: officer, **services}
        if any(len(secret.get_secret_value()) < MIN_TOKEN_CHARACTERS for secret in secrets.values()):
            raise TokensWrong(f"a token must have at least {MIN_TOKEN_CHARACTERS} characters")
        self._digests = {name: _digest(secret.get_secret_value()) for name, secret in secrets.items()}
        if len(set(self._digests.values())) != len(self._digests):
            raise TokensWrong("two callers share a token")

    def caller(self, authorization: str) -> str | None:
        """Return who sent this Authorization header, or None."""
        scheme, _, token = authorization.partition(" ")
        presented = _digest(token.strip())
        # Every digest is compared, in constant time: neither a match nor its place shows in the time taken.
        found = [name for name, digest in self._digests.items() if hmac.compare_digest(digest, presented)]
        return found[0] if found and scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class RequireToken:
    """ASGI middleware: without a valid token the body is not read and no route is tried.

    Every answer is marked `no-store`: they hold keys, pictures and names.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets
        caller = self._tokens.caller(Headers(scope=scope).get("authorization", ""))
        if caller is None:
            await _unauthorised(send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, _no_store(send))


def _no_store(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Cache-Control"] = "no-store"
        await send(message)

    return marked


async def _unauthorised(send: Send) -> None:
    body = json.dumps({"title": "Unauthorized", "status": 401, "detail": "a bearer token is required"})
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b"Bearer"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
