"""Two operators who judge every alert through the pages, while what serves the pages may be killed."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
from sqlalchemy import create_engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from overt.alerts.tables import AlertRow
from tests.integration.deployed import PAGES, Deployed, Service

PENDING = ("awaiting_first", "awaiting_second")
PEOPLE = ("Operator 1", "Operator 2")


class NotServed(Exception):
    """The page did not come, or the form was not taken: to be tried again."""


@dataclass
class Judges:
    """They judge what was raised under `orders`.

    `made` holds each judgement that the server confirmed (alert, person, verdict): those must stay. A link
    signs in once, so they live as long as the stage does.
    """

    system: Deployed
    orders: Sequence[str]
    made: set[tuple[str, str, str]] = field(default_factory=set)
    _clients: dict[str, httpx.Client] = field(default_factory=dict)
    _served_by: Service | None = None

    def judge_one(self) -> bool:
        """Let one person judge the oldest alert that waits for somebody; return whether it was confirmed."""
        try:
            waiting = self._oldest_pending()
            if waiting is None:
                return False
            alert_id, state = waiting
            person = PEOPLE[PENDING.index(state)]
            self._submit(person, alert_id)
        except (httpx.TransportError, NotServed, OperationalError):
            return False
        self.made.add((alert_id, person, "true_alert"))
        return True

    def _oldest_pending(self) -> tuple[str, str] | None:
        engine = create_engine(self.system.alerts_database_url)
        try:
            with Session(engine) as session:
                query = select(AlertRow).where(
                    AlertRow.state.in_(PENDING), AlertRow.deployment_id.in_(self.orders)
                )
                row = session.scalars(query.order_by(AlertRow.raised_at_ns).limit(1)).first()
                return None if row is None else (row.alert_id, row.state)
        finally:
            engine.dispose()

    def _submit(self, person: str, alert_id: str) -> None:
        client = self._client(person)
        page = client.get(f"/alerts/{alert_id}")
        if page.status_code != httpx.codes.OK:
            raise NotServed(page.status_code)
        hidden = {}
        for name in ("csrf", "version"):
            found = re.search(rf'name="{name}" value="([^"]+)"', page.text)
            if found is None:
                raise NotServed(f"no {name} on the page")
            hidden[name] = found[1]
        answers = {**hidden, "verdict": "true_alert", "reason": "features_agree"}
        answer = client.post(f"/alerts/{alert_id}/judgement", data=answers)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise NotServed(answer.status_code)

    def _client(self, person: str) -> httpx.Client:
        """Return a signed-in browser; sessions end with the process that served them."""
        service = self.system.services[PAGES]
        if self._served_by is not service:
            self.close()
            self._served_by = service
        if person not in self._clients:
            pattern = re.compile(rf"{re.escape(person)}: (http://[^/]+)/login\?token=([0-9a-f]+)")
            found = next((match for line in service.lines if (match := pattern.fullmatch(line))), None)
            if found is None:
                raise NotServed("no link was printed yet")
            client = httpx.Client(base_url=found[1], trust_env=False, timeout=5)
            with contextlib.ExitStack() as stack:
                stack.callback(client.close)
                if client.post("/login", data={"token": found[2]}).status_code != httpx.codes.SEE_OTHER:
                    raise NotServed("the link was not taken")
                stack.pop_all()
            self._clients[person] = client
        return self._clients[person]

    def close(self) -> None:
        """Close the browsers."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
