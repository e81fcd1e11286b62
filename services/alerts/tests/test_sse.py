"""The live stream: over a real socket, with replay, and silent about answers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from overt.alerts.server import PortBusy, WebServer
from overt.alerts.store import Store
from overt.alerts.tables import OutboxRow
from services.alerts.tests.conftest import Browser, World


@dataclass
class Served:
    """A world whose pages are served on a real port."""

    world: World
    web: WebServer

    @contextmanager
    def stream(
        self, browser: Browser, after: int = 0, last_event_id: str = ""
    ) -> Iterator[Iterator[dict[str, str]]]:
        """The events of one page, one dictionary of fields each."""
        with (
            httpx.Client(base_url=self.web.url, cookies=dict(browser.cookies), timeout=20) as client,
            client.stream(
                "GET", f"/events?after={after}", headers={"Last-Event-ID": last_event_id}
            ) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield events_in(answer.iter_lines())


def events_in(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields
            fields = {}


def alerts_of(events: Iterator[dict[str, str]], count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while len(found) < count:
        event = next(events)
        if event.get("event") == "alert":
            found.append(event)
    return found


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    web, stop = world.service.web(), threading.Event()
    thread = threading.Thread(target=web.run, args=(stop,))
    thread.start()
    world.order()
    yield Served(world, web)
    stop.set()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_new_alert_reaches_an_open_page(served: Served) -> None:
    browser = served.world.sign_in("Operator 1")
    with served.stream(browser) as events:
        assert next(events)["retry"] == "1000"
        alert_id = served.world.raise_alert()
        (event,) = alerts_of(events, 1)
    assert json.loads(event["data"]) == {"alert_id": alert_id, "type": "alert_raised"}


def test_a_page_that_comes_back_gets_what_it_missed_and_nothing_twice(served: Served) -> None:
    world = served.world
    ids = [world.raise_alert(entry_id=f"entry-{n}", track_id=f"t{n}") for n in range(4)]
    browser = world.sign_in("Operator 1")
    with served.stream(browser) as events:
        first = alerts_of(events, 2)
    with served.stream(browser, last_event_id=first[-1]["id"]) as events:
        rest = alerts_of(events, 2)
    assert [json.loads(event["data"])["alert_id"] for event in first + rest] == ids
    with served.stream(browser, after=int(first[0]["id"])) as events:
        assert [event["id"] for event in alerts_of(events, 3)] == [e["id"] for e in (first[1], *rest)]


def test_a_page_that_knows_of_more_than_there_is_starts_anew(served: Served) -> None:
    browser = served.world.sign_in("Operator 1")
    with served.stream(browser, after=99) as events:
        assert [event.get("event") for event in events] == [None, "reload"]


def test_the_stream_never_says_what_was_answered(served: Served) -> None:
    world = served.world
    alert_id = world.raise_alert(similarity=0.6234)
    world.sign_in("Operator 1").judge(alert_id, "false_alert")
    with served.stream(world.sign_in("Operator 2")) as events:
        found = alerts_of(events, 2)
    assert [json.loads(event["data"]) for event in found] == [
        {"alert_id": alert_id, "type": "alert_raised"},
        {"alert_id": alert_id, "type": "judgement_made"},
    ]


def test_signing_out_ends_the_stream(served: Served) -> None:
    browser = served.world.sign_in("Operator 1")
    with served.stream(browser) as events:
        next(events)
        browser.post("/logout", {"csrf": browser.csrf()})
        for _ in events:
            pass  # ends by itself: else the client's timeout fails the test


def test_a_status_says_when_orders_change_and_how_many_faces_were_seen(served: Served) -> None:
    browser = served.world.sign_in("Operator 1")
    with served.stream(browser) as events:
        before = next(json.loads(e["data"]) for e in events if e.get("event") == "status")
        served.world.order(revision=2, state="stopped")
        after = next(json.loads(e["data"]) for e in events if e.get("event") == "status")
    assert before["faces_seen"] == 7
    assert before["key"] != after["key"]


def test_something_is_said_each_second_so_that_a_dead_line_is_noticed(served: Served) -> None:
    with served.stream(served.world.sign_in("Operator 1")) as events:
        assert any(event.get("event") == "beat" for event in events)


def test_nobody_listens_without_signing_in(served: Served) -> None:
    assert httpx.get(f"{served.web.url}/events").status_code == 401


def test_a_busy_port_is_one_clear_line(served: Served) -> None:
    with pytest.raises(PortBusy, match=f"on 127.0.0.1:{served.web.port}: Address already in use"):
        WebServer(
            served.world.service.room.app, served.world.service._base.pulse, "127.0.0.1", served.web.port
        )


def test_what_another_process_writes_wakes_the_pages_of_this_one(world: World) -> None:
    watch, pulse = world.service.room.watch, world.service._base.pulse
    world.order()
    before = pulse.count
    watch.step()
    assert pulse.count == before, "nothing is new"
    with Store(world.service._base.options.database_url).write() as session:
        session.add(OutboxRow(alert_id="alert-1", event_json=b"{}", sent_at_ns=None))
    watch.step()
    watch.step()
    assert pulse.count == before + 1
