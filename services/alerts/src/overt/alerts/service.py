"""Builds the alerts service over one store: whole in one process, or as a stream and a control room."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from fastapi import FastAPI

from overt.alerts.board import Board, faces_seen_in
from overt.alerts.cards import CardFetcher
from overt.alerts.desk import Desk, StopDeployment
from overt.alerts.escalation import Escalator
from overt.alerts.intake import Intake
from overt.alerts.live import Pulse
from overt.alerts.metrics import AlertMetrics
from overt.alerts.outbox import Relay
from overt.alerts.patience import Patience
from overt.alerts.pictures import PictureLinks, Vault
from overt.alerts.recording import Recorder
from overt.alerts.references import References
from overt.alerts.server import WebServer
from overt.alerts.sessions import Doorkeeper, roster
from overt.alerts.settings import LOOPBACK, AlertsOptions
from overt.alerts.sse import LiveStream
from overt.alerts.store import Store, load_newest
from overt.alerts.verdicts import Verdicts
from overt.alerts.watch import Watch
from overt.alerts.web import create_app
from overt.contracts.context import Context, Orders
from overt.contracts.events import AlertState
from overt.contracts.messages import MatchMade
from overt.contracts.topics import MATCHES
from overt.contracts.wire import Out
from overt.runtime.loop import Loop
from overt.runtime.process import Runner

LINK_TTL_S = 60
EVERY_ALERT = 100_000
ESCALATION_PAUSE_S = 1.0


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
class Base:
    """What every part of the service stands on, in whatever process."""

    context: Context
    options: AlertsOptions
    store: Store
    pulse: Pulse
    vault: Vault
    metrics: AlertMetrics

    def patience(self, part: str) -> Patience:
        """Return the patience of one part of the process."""
        return Patience(part, self.context.health, self.context.clock)


@dataclass(frozen=True, slots=True)
class Intaking:
    """What takes matches, and the orders under which they count; for one thread."""

    intake: Intake
    orders: Orders


@dataclass(frozen=True, slots=True)
class Backstage:
    """What runs beside the intake: the relay, the card fetcher, the escalation."""

    relay: Relay
    cards: CardFetcher
    escalator: Escalator
    _base: Base = field(repr=False)

    @property
    def runners(self) -> Mapping[str, Runner]:
        """Everything of it that has to run."""
        escalation = self._base.patience("escalation")
        return {
            "alerts-relay": self.relay.run,
            "alerts-cards": self.cards.run,
            "alerts-escalation": escalation.runner(
                self.escalator.step, lambda stop: stop.wait(ESCALATION_PAUSE_S)
            ),
        }


@dataclass(frozen=True, slots=True)
class ControlRoom:
    """The pages, and who may sign in."""

    app: FastAPI
    watch: Watch
    _base: Base = field(repr=False)
    _doorkeeper: Doorkeeper = field(repr=False)

    @property
    def runners(self) -> Mapping[str, Runner]:
        """What has to run beside the web server when something else than this process writes alerts."""
        watch = self._base.patience("alerts database")
        return {"alerts-watch": watch.runner(self.watch.step, lambda stop: stop.wait(Watch.PAUSE_S))}

    def web(self) -> WebServer:
        """Take the port of the options and return the server; its `run` is a runner. Raises PortBusy."""
        options = self._base.options
        return WebServer(self.app, self._base.pulse, options.host, options.port)

    def login_links(self, base_url: str) -> list[tuple[str, str, str]]:
        """Return name, role and a new one-time link for everybody who may sign in."""
        people = self._doorkeeper.people.values()
        base = base_url.rstrip("/")
        return [(p.name, p.role, f"{base}/login?token={self._doorkeeper.new_token(p)}") for p in people]


@dataclass(frozen=True, slots=True)
class AlertsService:
    """The whole service in one process. Run what `runners` names, serve `room.app` or `web()`."""

    loop: Loop[MatchMade, Out]
    backstage: Backstage
    room: ControlRoom
    _base: Base = field(repr=False)

    @property
    def runners(self) -> Mapping[str, Runner]:
        """Everything that has to run, but for the web server."""
        return {"alerts": self.loop.run, **self.backstage.runners}

    def web(self) -> WebServer:
        """See ControlRoom."""
        return self.room.web()

    def login_links(self, base_url: str) -> list[tuple[str, str, str]]:
        """See ControlRoom."""
        return self.room.login_links(base_url)

    def alerts(self) -> list[AlertRow]:
        """Return every alert, oldest first."""
        with self._base.store.read() as session:
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
        self._base.pulse.close()
        self._base.store.close()


def build(
    context: Context,
    options: AlertsOptions,
    references: References,
    *,
    stop_deployment: StopDeployment | None = None,
    faces_seen: Callable[[], int | None] | None = None,
) -> AlertsService:
    """Open the database and put all parts together for one process; nothing runs yet.

    `stop_deployment(deployment_id, person_id)` stops capture (raises StopFailed); without it the pages have
    no stop button. `faces_seen` is the count on the page; by default detect's own, if it is in `context`.
    """
    base = open_base(context, options)
    taking = build_intake(base)
    return AlertsService(
        loop=context.loop("alerts", MATCHES, taking.intake.handle, tick=taking.orders.feed.poll),
        backstage=build_backstage(base, references),
        room=build_room(base, stop_deployment=stop_deployment, faces_seen=faces_seen),
        _base=base,
    )


def open_base(context: Context, options: AlertsOptions) -> Base:
    """Open the database. Raises StoreUnusable."""
    store = Store(options.database_url)
    metrics = AlertMetrics(context.registry, store.count_pending)
    return Base(context, options, store, Pulse(), Vault(context.keys), metrics)


def build_intake(base: Base) -> Intaking:
    """Return what takes matches."""
    orders, clock = base.context.orders("alerts"), base.context.clock
    intake = Intake(
        book=orders.book,
        store=base.store,
        recorder=Recorder(base.vault, clock, int(base.options.window_s * 1e9)),
        pulse=base.pulse,
        metrics=base.metrics,
        clock=clock,
    )
    return Intaking(intake, orders)


def build_backstage(base: Base, references: References) -> Backstage:
    """Return what runs beside the intake."""
    escalator = Escalator(
        store=base.store,
        metrics=base.metrics,
        pulse=base.pulse,
        clock=base.context.clock,
        deadline_ns=int(base.options.ack_deadline_s * 1e9),
    )
    return Backstage(
        relay=Relay(base.context, base.store, base.pulse),
        cards=CardFetcher(
            base.context, store=base.store, vault=base.vault, references=references, pulse=base.pulse
        ),
        escalator=escalator,
        _base=base,
    )


def build_room(
    base: Base,
    *,
    stop_deployment: StopDeployment | None = None,
    faces_seen: Callable[[], int | None] | None = None,
) -> ControlRoom:
    """Return the pages. See `build`."""
    context, options, store, clock = base.context, base.options, base.store, base.context.clock
    people = roster(options.operators, options.engagement_officers, options.supervisors)
    doorkeeper = Doorkeeper(people, clock)
    board = Board(context.orders("alerts pages"), clock, faces_seen or faces_seen_in(context.registry))

    def on_judged(state: str) -> None:
        base.metrics.judgements.labels(state).inc()
        base.pulse.beat()

    desk = Desk(
        options=options,
        clock=clock,
        store=store,
        vault=base.vault,
        links=PictureLinks(secrets.token_bytes(32), LINK_TTL_S),
        verdicts=Verdicts(store, clock),
        doorkeeper=doorkeeper,
        board=board,
        stream=LiveStream(store, board, base.pulse),
        on_judged=on_judged,
        stop_deployment=stop_deployment,
    )
    app = create_app(desk, LOOPBACK | {options.host})
    return ControlRoom(app, Watch(store, base.pulse), base, doorkeeper)
