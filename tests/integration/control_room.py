"""The control room in a browser, for tests: one person signs in with a printed link and fills in forms."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, Self

import httpx

from .deployed import PAGES, Service


class System(Protocol):
    """What runs the control room: the whole system, or the alerts service alone."""

    @property
    def services(self) -> Mapping[str, Service]:
        """Its processes by name."""


class Browser:
    """One person's browser: signs in with the link that the alerts process printed; fills in forms."""

    def __init__(self, system: System, person: str) -> None:
        pattern = re.compile(rf"{re.escape(person)}: (http://[^/]+)/login\?token=([0-9a-f]+)")
        (found,) = [found for line in system.services[PAGES].lines if (found := pattern.fullmatch(line))]
        self._client = httpx.Client(base_url=found[1], trust_env=False)
        assert self._client.post("/login", data={"token": found[2]}).status_code == httpx.codes.SEE_OTHER

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> str:
        answer = self._client.get(path)
        assert answer.is_success, answer.text
        return answer.text

    def picture(self, path: str) -> bytes:
        return self._client.get(path).raise_for_status().content

    def submit(self, alert_id: str, form: str, **answers: str) -> None:
        page = self.get(f"/alerts/{alert_id}")
        hidden = {name: self._hidden(page, name) for name in ("csrf", "version")}
        answer = self._client.post(f"/alerts/{alert_id}/{form}", data={**hidden, **answers})
        assert answer.status_code == httpx.codes.SEE_OTHER, answer.text

    @contextmanager
    def events(self) -> Iterator[Iterator[str]]:
        """The lines of the live stream, while the block lasts."""
        with self._client.stream("GET", "/events", timeout=30) as answer:
            assert answer.is_success
            yield answer.iter_lines()

    @staticmethod
    def _hidden(page: str, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]+)"', page)
        assert found is not None, f"no {name} on the page"
        return found[1]
