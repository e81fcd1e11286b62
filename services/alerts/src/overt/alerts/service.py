"""Builds the alerts service: the loop, the relay, the card fetcher and the control room over one store."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from fastapi import FastAPI

from overt.alerts.board import Board, faces_seen_in
from overt.alerts.cards import CardFetcher
from overt.alerts.desk import Desk, StopDeployment
from overt.alerts.intake import Intake
from overt.alerts.live import Pulse
from overt.alerts.metrics import AlertMetrics
from overt.alerts.outbox import Relay
from overt.alerts.pictures import PictureLinks, Vault
from overt.alerts.recording import Recorder
from overt.alerts.references import References
from overt.alerts.server import WebServer
from overt.alerts.sessions import Doorkeeper, roster
from overt.alerts.settings import LOOPBACK, AlertsOptions
from overt.alerts.sse import LiveStream
from overt.alerts.store import Store, load_newest
from overt.alerts.verdicts import Verdicts
from overt.alerts.web import create_app
from overt.contracts.context import Context
from overt.contracts.events import AlertState
from overt.contracts.messages import MatchMade
from overt.contracts.topics import MATCHES
from overt.contracts.wire import Out
from overt.runtime.loop import Loop
from overt.runtime.process import Runner

LINK_TTL_S = 60
EVERY_ALERT = 100_000


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert for a report: no picture, no name. `latency_ms`: from decoded frame to stored alert."""

    alert_id: str
    deployment_id: str
    entry_id: str
    camera_id: str
    captured_at_ns: int
    similarity: float
    threshold: float
    latency_ms: float
    matches: int
    state: AlertState


@dataclass(frozen=True, slots=True)
class AlertsService:
    """What was built. Run `loop`, `relay` and `cards` (`runners` names them), serve `app` or `web()`."""

    options: AlertsOptions
    app: FastAPI
    loop: Loop[MatchMade, Out]
    relay: Relay
    cards: CardFetcher
    _store: Store = field(repr=False)
    _pulse: Pulse = field(repr=False)
    _doorkeeper: Doorkeeper = field(repr=False)

    @property
    def runners(self) -> Mapping[str, Runner]:
        """Everything that has to run, but for the web server."""
        return {"alerts": self.loop.run, "alerts-relay": self.relay.run, "alerts-cards": self.cards.run}

    def web(self) -> WebServer:
        """Take the port of the options and return the server; its `run` is a runner. Raises PortBusy."""
        return WebServer(self.app, self._pulse, self.options.host, self.options.port)

    def login_links(self, base_url: str) -> list[tuple[str, str, str]]:
        """Return name, role and a new one-time link for everybody who may sign in."""
        people = self._doorkeeper.people.values()
        base = base_url.rstrip("/")
        return [(p.name, p.role, f"{base}/login?token={self._doorkeeper.new_token(p)}") for p in people]

    def alerts(self) -> list[AlertRow]:
        """Return every alert, oldest first."""
        with self._store.read() as session:
            rows = [record.row for record in load_newest(session, EVERY_ALERT)]
        return [
            AlertRow(
                alert_id=row.alert_id,
                deployment_id=row.deployment_id,
                entry_id=row.entry_id,
                camera_id=row.camera_id,
                captured_at_ns=row.captured_at_ns,
                similarity=row.similarity,
                threshold=row.threshold,
                latency_ms=(row.raised_at_ns - row.read_at_ns) / 1e6,
                matches=row.matches,
                state=cast("AlertState", row.state),
            )
            for row in rows
        ]

    def close(self) -> None:
        """End open streams and close the database. Call it after the runners have come back."""
        self._pulse.close()
        self._store.close()


def build(
    context: Context,
    options: AlertsOptions,
    references: References,
    *,
    stop_deployment: StopDeployment | None = None,
    faces_seen: Callable[[], int | None] | None = None,
) -> AlertsService:
    """Open the database and put the parts together; nothing runs yet.

    `stop_deployment(deployment_id, person_id)` stops capture (raises StopFailed); without it the pages have
    no stop button. `faces_seen` is the count on the page; by default detect's own, if it is in `context`.
    """
    store, pulse, clock = Store(options.database_url), Pulse(), context.clock
    vault = Vault(context.keys)
    metrics = AlertMetrics(context.registry, store.count_pending)
    people = roster(options.operators, options.engagement_officers, options.supervisors)
    doorkeeper = Doorkeeper(people, clock)
    board = Board(context.orders("alerts pages"), clock, faces_seen or faces_seen_in(context.registry))

    def on_judged(state: str) -> None:
        metrics.judgements.labels(state).inc()
        pulse.beat()

    desk = Desk(
        options=options,
        clock=clock,
        store=store,
        vault=vault,
        links=PictureLinks(secrets.token_bytes(32), LINK_TTL_S),
        verdicts=Verdicts(store, clock),
        doorkeeper=doorkeeper,
        board=board,
        stream=LiveStream(store, board, pulse),
        on_judged=on_judged,
        stop_deployment=stop_deployment,
    )
    return AlertsService(
        options=options,
        app=create_app(desk, LOOPBACK | {options.host}),
        loop=_loop(context, options, store, vault=vault, pulse=pulse, metrics=metrics),
        relay=Relay(context, store, pulse),
        cards=CardFetcher(store=store, vault=vault, references=references, pulse=pulse, clock=clock),
        _store=store,
        _pulse=pulse,
        _doorkeeper=doorkeeper,
    )


def _loop(  # noqa: PLR0913 - the parts of the intake
    context: Context,
    options: AlertsOptions,
    store: Store,
    *,
    vault: Vault,
    pulse: Pulse,
    metrics: AlertMetrics,
) -> Loop[MatchMade, Out]:
    orders, clock = context.orders("alerts"), context.clock
    recorder = Recorder(vault, clock, int(options.window_s * 1e9))
    intake = Intake(
        book=orders.book, store=store, recorder=recorder, pulse=pulse, metrics=metrics, clock=clock
    )
    return context.loop("alerts", MATCHES, intake.handle, tick=orders.feed.poll)
