"""A whole alerts service on the in-process broker, and people who use it through its pages."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from threading import Event
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from overt.alerts.intake import ORDER_PATIENCE_S
from overt.alerts.references import CardUnavailable, EntryCard
from overt.alerts.service import AlertsService, build
from overt.alerts.settings import AlertsOptions
from overt.contracts.codec import decode
from overt.contracts.context import Context
from overt.contracts.events import AnyAlertEvent
from overt.contracts.messages import Box, Candidate, MatchMade, Shot
from overt.contracts.orders import Order, sign
from overt.contracts.topics import ALERTS, DEPLOYMENTS, MATCHES
from overt.contracts.wire import Out, TopicWire, memory_topics
from overt.runtime.clock import ManualClock
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyRing
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker

DEPLOYMENT = "dep-1"
FINGERPRINT = "ab" * 32
BASE_URL = "http://127.0.0.1:8080"
START_S = 1_700_000_000.0


def jpeg(content: str) -> bytes:
    """Bytes that begin and end like a JPEG, with something to look for in between."""
    return b"\xff\xd8\xff" + content.encode() * 20 + b"\xff\xd9"


class FakeReferences:
    """Cards of a list of one; `down` makes them unavailable."""

    def __init__(self) -> None:
        self.down = False
        self.label = "Entry One"
        self.asked = 0

    def card(self, watchlist_id: str, entry_id: str) -> EntryCard:
        self.asked += 1
        if self.down:
            raise CardUnavailable("down")
        return EntryCard(self.label, "blue_list", jpeg("REFERENCE-PICTURE"))


@dataclass
class World:
    """One service and everything around it."""

    directory: Path
    references: FakeReferences = field(default_factory=FakeReferences)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START_S))
    order_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    stopped: list[tuple[str, str]] = field(default_factory=list)
    knobs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(memory_topics(), self.clock)
        self.keys = KeyRing(self.clock)
        self.lasting = DataKey(f"{DEPLOYMENT}/lasting/1", DEPLOYMENT, b"k" * 32, None)
        self.keys.open(DEPLOYMENT, self.lasting)
        self.start()

    def start(self) -> None:
        """Build the service, on what an earlier one left in the directory."""
        self.registry = CollectorRegistry()
        self.context = Context(
            broker=self.broker,
            keys=self.keys,
            order_key=self.order_key.public_key(),
            clock=self.clock,
            registry=self.registry,
            loops=LoopCollectors(self.registry),
        )
        options = AlertsOptions(database_url=f"sqlite:///{self.directory}/alerts.db", port=0, **self.knobs)
        self.service: AlertsService = build(
            self.context, options, self.references, stop_deployment=self._stop, faces_seen=lambda: 7
        )

    def restart(self) -> None:
        """End the service and start it again."""
        stop = Event()
        stop.set()
        self.service.loop.run(stop)
        self.service.close()
        self.start()

    def _stop(self, deployment_id: str, person_id: str) -> None:
        self.stopped.append((deployment_id, person_id))

    def order(self, **changes: Any) -> Order:
        """Publish an order that is in force for an hour from the start, with `changes`."""
        fields: dict[str, Any] = {
            "deployment_id": DEPLOYMENT,
            "revision": 1,
            "state": "active",
            "purpose": "protective_event",
            "place": "Market Square",
            "starts_at_s": START_S - 60,
            "ends_at_s": START_S + 3600,
            "camera_ids": ("gate-north", "gate-south"),
            "watchlist_id": "list-1",
            "watchlist_size": 12,
            "fingerprint": FINGERPRINT,
            "threshold": 0.4,
            "issued_at_s": START_S - 120,
        }
        order = Order(**{**fields, **changes})
        self._produce(Out(DEPLOYMENTS, order.deployment_id, sign(order, self.order_key)))
        return order

    def match(self, **changes: Any) -> MatchMade:
        """A match captured now, with `changes`: of its shot, its candidates, or itself."""
        captured_at_ns = changes.pop("captured_at_ns", self.clock.now_ns())
        number, track_id = changes.pop("number", 1), changes.pop("track_id", "t1")
        camera_id = changes.pop("camera_id", "gate-north")
        similarity, entry_id = changes.pop("similarity", 0.62), changes.pop("entry_id", "entry-1")
        others = tuple(Candidate(name, score) for name, score in changes.pop("others", ()))
        mark = f"{camera_id} {track_id} {number} {captured_at_ns}"
        shot = Shot(
            camera_id=camera_id,
            track_id=track_id,
            number=number,
            captured_at_ns=captured_at_ns,
            read_at_ns=changes.pop("read_at_ns", captured_at_ns),
            box=Box(1, 1, 9, 9),
            landmarks_px=(1.0,) * 10,
            quality=80,
            crop_side_px=112,
            crop_rgb=b"CROP" * (112 * 28 * 3),
            portrait_jpeg=changes.pop("portrait_jpeg", jpeg(f"PORTRAIT-{mark}")),
            context_jpeg=changes.pop("context_jpeg", jpeg(f"CONTEXT-{mark}")),
        )
        fields: dict[str, Any] = {
            "deployment_id": DEPLOYMENT,
            "watchlist_id": "list-1",
            "fingerprint": FINGERPRINT,
            "threshold": 0.4,
            "candidates": (Candidate(entry_id, similarity), *others),
            "probe_hash": hashlib.sha256(mark.encode()).hexdigest(),
            "shot": shot,
        }
        return MatchMade(**{**fields, **changes})

    def send(self, *matches: MatchMade) -> None:
        """Put matches on the topic and let the loop take everything that waits there."""
        self.deliver(*matches)
        self.settle()

    def deliver(self, *matches: MatchMade) -> None:
        """Put matches on the topic and leave them there."""
        for match in matches:
            self._produce(Out(MATCHES, f"{match.deployment_id}/{match.candidates[0].entry_id}", match))

    def settle(self) -> None:
        """Let the loop and the card fetcher do what there is to do; the relay is left to the tests.

        What waits for an order that never comes has waited long enough.
        """
        while not self.broker.is_drained():
            if not self.service.loop.step():
                self.clock.advance(ORDER_PATIENCE_S)
        self.service.backstage.cards.step()

    def raise_alert(self, **changes: Any) -> str:
        """Send one match and return the id of the newest alert."""
        self.send(self.match(**changes))
        return self.service.alerts()[-1].alert_id

    def published(self) -> list[AnyAlertEvent]:
        """Every event on alerts.v1, as a consumer would read it."""
        records = self.broker.held_records(ALERTS.name)
        return [cast("AnyAlertEvent", decode(ALERTS, record.value or b"")) for record in records]

    def browser(self) -> "Browser":
        """A browser that nobody has signed in with."""
        return Browser(self)

    def sign_in(self, name: str) -> "Browser":
        """A browser in which `name` has signed in."""
        browser = self.browser()
        browser.use_link(self.link(name))
        return browser

    def link(self, name: str) -> str:
        """A new login link of `name`, as path and query."""
        links = {person: url for person, _, url in self.service.login_links(BASE_URL)}
        return links[name].removeprefix(BASE_URL)

    def read(self, reader: Callable[[Session], Any]) -> Any:
        """What `reader` finds in the database."""
        with self.service._base.store.read() as session:
            return reader(session)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def _produce(self, out: Out) -> None:
        addressed = TopicWire[MatchMade](MATCHES, self.keys).seal(out)
        self.broker.producer().produce(addressed.topic, addressed.key, addressed.value)


class Browser:
    """One browser with its cookies; forms are filled in from the page that shows them."""

    def __init__(self, world: World) -> None:
        self._app = world.service.room.app
        self.cookies = httpx.Cookies()

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self._request("GET", path, **kwargs)

    def post(self, path: str, data: dict[str, str] | None = None, **kwargs: Any) -> httpx.Response:
        return self._request("POST", path, data=data or {}, **kwargs)

    def use_link(self, link: str) -> httpx.Response:
        token = link.partition("token=")[2]
        return self.post("/login", {"token": token})

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/").text)
        assert found is not None, "not signed in"
        return found[1]

    def version(self, alert_id: str) -> str:
        found = re.search(r'name="version" value="(\d+)"', self.get(f"/alerts/{alert_id}").text)
        return found[1] if found else "0"

    def judge(self, alert_id: str, verdict: str, reason: str | None = None, **changes: str) -> httpx.Response:
        usual = {"true_alert": "features_agree", "false_alert": "features_differ"}
        form = {"verdict": verdict, "reason": reason or usual[verdict]}
        form |= {"csrf": self.csrf(), "version": self.version(alert_id)} | changes
        return self.post(f"/alerts/{alert_id}/judgement", form)

    def pictures(self, alert_id: str) -> dict[str, str]:
        text = self.get(f"/alerts/{alert_id}").text
        links = [unescape(link) for link in re.findall(r'src="(/pictures/[^"]+)"', text)]
        return {link.split("/")[3].split("?")[0]: link for link in links}

    def _request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, client=kwargs.pop("client", ("127.0.0.1", 50_000)))
            base_url = kwargs.pop("base_url", BASE_URL)
            async with httpx.AsyncClient(
                transport=transport, base_url=base_url, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **kwargs)
                self.cookies = client.cookies
                return answer

        return asyncio.run(go())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.service.close()
