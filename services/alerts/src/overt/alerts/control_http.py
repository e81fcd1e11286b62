"""Control over HTTP: the cards of watchlist entries, and the stop of a deployment."""

import base64
import time
from collections.abc import Callable

import httpx
import msgspec
import structlog
from pydantic import SecretStr

from overt.alerts.desk import StopFailed
from overt.alerts.references import CardUnavailable, EntryCard

log = structlog.get_logger()

RETRY_PAUSES_S = (0.2, 1.0)
TIMEOUT_S = 3.0


class _CardBody(msgspec.Struct, frozen=True):
    label: str
    category: str
    picture: str


class HttpReferences:
    """Cards from control's `GET /v1/watchlists/{watchlist}/entries/{entry}`."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        client: httpx.Client,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._client = client
        self._pause = pause

    def card(self, watchlist_id: str, entry_id: str) -> EntryCard:
        """See References: three tries, then CardUnavailable."""
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                return self._ask(watchlist_id, entry_id)
            except httpx.TransportError as error:
                if pause_s is None:
                    raise CardUnavailable(f"control does not answer: {type(error).__name__}") from None
                self._pause(pause_s)
        raise AssertionError("unreachable")

    def _ask(self, watchlist_id: str, entry_id: str) -> EntryCard:
        answer = self._client.get(
            f"{self._base_url}/v1/watchlists/{watchlist_id}/entries/{entry_id}",
            headers={"Authorization": f"Bearer {self._token.get_secret_value()}"},
            timeout=TIMEOUT_S,
        )
        if answer.status_code != httpx.codes.OK:
            raise CardUnavailable(f"control answers {answer.status_code}")
        try:
            body = msgspec.json.decode(answer.content, type=_CardBody)
            return EntryCard(body.label, body.category, base64.b64decode(body.picture, validate=True))
        except ValueError:  # msgspec's errors are ValueErrors too
            raise CardUnavailable("control's answer is no card") from None


class HttpStop:
    """Stops a deployment with control's `POST /v1/deployments/{deployment}/stop`."""

    def __init__(self, base_url: str, token: SecretStr, client: httpx.Client) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._client = client

    def __call__(self, deployment_id: str, person_id: str) -> None:
        """See StopDeployment; who stopped is in this service's audit trail. Tried twice."""
        for is_last in (False, True):
            try:
                answer = self._client.post(
                    f"{self._base_url}/v1/deployments/{deployment_id}/stop",
                    headers={"Authorization": f"Bearer {self._token.get_secret_value()}"},
                    timeout=TIMEOUT_S,
                )
            except httpx.TransportError as error:
                if is_last:
                    raise StopFailed(f"control does not answer ({type(error).__name__})") from None
            else:
                if answer.is_success:
                    log.info("deployment stopped", deployment_id=deployment_id, person_id=person_id)
                    return
                raise StopFailed(f"control answers {answer.status_code}")
