"""Everything in one process: control, the loops and the control room, on the in-process broker."""

import secrets
import threading
import webbrowser
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from overt.alerts import service as alerts
from overt.alerts.server import WebServer, require_free
from overt.alerts.settings import AlertsOptions
from overt.cli.calibration import in_words as calibration_in_words
from overt.cli.control_adapters import ControlReferences, stop_with
from overt.cli.datafolder import data_folder
from overt.cli.models import models_dir
from overt.cli.progress import counting, say, steps
from overt.cli.summary import AlertSummary, Summary, summarise
from overt.contracts.context import Context
from overt.contracts.orders import Order, Purpose
from overt.contracts.wire import memory_topics
from overt.control.control import Control
from overt.control.errors import Unknown
from overt.control.evidence import with_evidence
from overt.control.policy import Category, OrderDraft
from overt.control.service import ControlOptions, World
from overt.control.service import build as build_control
from overt.detect.service import build as build_detect
from overt.detect.settings import DetectOptions
from overt.detect.zones import ZonesRefused, read_zones
from overt.embed.service import build as build_embed
from overt.embed.settings import EmbedOptions
from overt.ingest.camera import probe_source
from overt.ingest.service import Ingest
from overt.ingest.service import build as build_ingest
from overt.ingest.settings import CameraOptions, IngestOptions
from overt.match.service import build as build_match
from overt.match.settings import MatchOptions
from overt.recognition.gallery import Gallery
from overt.recognition.onnx_session import Device
from overt.recognition.pack import Pack, load_pack
from overt.runtime import process
from overt.runtime.clock import Clock, SystemClock
from overt.runtime.health import Health
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker
from overt.runtime.process import CannotBegin, Runner

DRAIN_CHECK_S = 0.1
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `overt up` is told; `overt demo` fills it in."""

    videos: tuple[str, ...]
    watchlist: Path
    data_dir: Path
    cache_dir: Path
    category: Category = "wanted_on_suspicion"
    purpose: Purpose = "sought_person_location"
    place: str = "not given"
    hours: float = 4.0
    threshold: float | None = None
    pack: str = "cpu"
    device: Device = "cpu"
    evidence: tuple[Path, ...] = ()
    evidence_key: Path | None = None
    zones: Path | None = None
    live: bool = True
    once: bool = False
    port: int = 8080
    open_browser: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class _Plant:
    """What stands once everything is built."""

    broker: MemoryBroker
    registry: CollectorRegistry
    clock: Clock
    control: Control
    room: alerts.AlertsService
    web: WebServer
    ingest: Ingest
    runners: Mapping[str, Runner]
    health: Health


def up(options: UpOptions) -> tuple[Summary, int]:
    """Run a deployment from its order to its end; return what it came to and the exit code.

    Raises SourceRefused, ModelsMissing, DataFolderRefused, CannotBegin, ControlError: nothing was begun
    then, and nothing of an earlier run is lost.
    """
    process.leave_no_core()
    detecting = _detect_options(options)
    for source in options.videos:
        probe_source(source)
    pack = load_pack(options.pack, models_dir(options.cache_dir), device=options.device)
    pack = replace(pack, info=with_evidence(pack.info, options.evidence, options.evidence_key))
    _threshold(options, pack)  # before anything is begun
    with ExitStack() as stack:
        require_free(LOOPBACK, options.port)
        folder = stack.enter_context(data_folder(options.data_dir, empty=options.fresh))
        plant = _build(options, folder, pack, stack, detecting)
        name = _new_name(plant.clock)
        # Before the first picture is enrolled: whatever goes wrong, nobody's template stays.
        stack.callback(_end, plant.control, name)
        order = _order(options, plant.control, pack, name)
        _invite(options, plant.room, plant.web, order)
        stop, complete = threading.Event(), threading.Event()
        runners = dict(plant.runners)
        if options.once:
            runners["once"] = _when_all_is_seen(plant, stop, complete)
        started_s = plant.clock.monotonic_s()
        code = process.run(runners, stop=stop, health=plant.health)
        seconds = plant.clock.monotonic_s() - started_s
        summary = summarise(plant.registry, _alerts_of(plant.room, order), seconds)
        return msgspec.structs.replace(summary, complete=complete.is_set()), code


def _build(  # noqa: PLR0917 - what stands before it
    options: UpOptions, folder: Path, pack: Pack, stack: ExitStack, detecting: DetectOptions
) -> _Plant:
    clock, registry, health = SystemClock(), CollectorRegistry(), Health()
    broker = MemoryBroker(memory_topics(), clock)
    gallery = Gallery(str(folder / "milvus.db"))
    stack.callback(gallery.close)
    world = World(broker=broker, clock=clock, registry=registry, health=health)
    control = build_control(ControlOptions(data_dir=folder / "control"), world, pack=pack, gallery=gallery)
    stack.callback(control.close)
    _end_what_was_left(control)
    context = Context(
        broker=broker,
        keys=control.keys,
        order_key=control.order_key,
        clock=clock,
        registry=registry,
        loops=LoopCollectors(registry),
        health=health,
    )
    room = alerts.build(
        context,
        _alerts_options(options, folder, pack),
        ControlReferences(control),
        stop_deployment=stop_with(control),
    )
    stack.callback(room.close)
    web = room.web()
    stack.callback(web.close)
    ingest = build_ingest(context, _ingest_options(options), health=health)
    runners: dict[str, Runner] = {
        "control": control.run,
        "detect": build_detect(context, detecting, pack),
        "embed": build_embed(context, EmbedOptions(), pack),
        "match": build_match(context, MatchOptions(), gallery),
        **room.runners,
        "web": web.run,
        **ingest.runners,
    }
    stack.callback(broker.close)
    return _Plant(broker, registry, clock, control, room, web, ingest, runners, health)


def _alerts_options(options: UpOptions, folder: Path, pack: Pack) -> AlertsOptions:
    calibration = pack.info.calibration
    threshold = _threshold(options, pack)
    return AlertsOptions(
        database_url=f"sqlite:///{folder / 'alerts.db'}",
        calibration=calibration_in_words(calibration, threshold),
        port=options.port,
    )


def _detect_options(options: UpOptions) -> DetectOptions:
    """Return what detect is told. Raises CannotBegin for zones that can't be read."""
    if options.zones is None:
        return DetectOptions()
    try:
        zones = read_zones(options.zones)
    except ZonesRefused as error:
        raise CannotBegin(str(error)) from None
    played = {camera.camera_id for camera in _ingest_options(options).cameras}
    for camera_id in sorted(zones.cameras.keys() - played):
        say(f"zones: {camera_id} is none of the cameras here ({', '.join(sorted(played))})")
    return DetectOptions(zones=zones)


def _threshold(options: UpOptions, pack: Pack) -> float:
    """Return the threshold asked for, else the pack's own. Raises CannotBegin when there is neither."""
    threshold = pack.info.calibration.default_threshold if options.threshold is None else options.threshold
    if threshold is None:
        raise CannotBegin(
            f"pack {pack.info.name} was never measured and has no threshold: measure it with `overt evaluate "
            "identification --sign`, then give --evidence, --evidence-key and --threshold"
        )
    return threshold


def _ingest_options(options: UpOptions) -> IngestOptions:
    cameras = tuple(
        CameraOptions(camera_id=f"camera-{number}", source=source, live=options.live)
        for number, source in enumerate(options.videos, start=1)
    )
    return IngestOptions(cameras=cameras)


def _new_name(clock: Clock) -> str:
    """Return what this run's deployment and watchlist are called after their kind."""
    return datetime.fromtimestamp(clock.now_s(), UTC).strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def _order(options: UpOptions, control: Control, pack: Pack, name: str) -> Order:
    """Enrol the list and issue the order that everything below obeys."""
    now_s = SystemClock().now_s()
    with steps() as report:
        enrolled = control.enrol_folder(
            options.watchlist,
            f"list-{name}",
            category=options.category,
            progress=counting(report, "enrolling the watchlist"),
        )
    say(enrolled.summary)
    draft = OrderDraft(
        deployment_id=f"deployment-{name}",
        purpose=options.purpose,
        place=options.place,
        starts_at_s=now_s,
        ends_at_s=now_s + options.hours * 3600,
        camera_ids=tuple(f"camera-{number}" for number in range(1, len(options.videos) + 1)),
        watchlist_id=f"list-{name}",
        threshold=_threshold(options, pack),
    )
    order = control.issue_order(draft)
    until = datetime.fromtimestamp(order.ends_at_s).astimezone().strftime("%H:%M %Z")
    say(f"order {order.deployment_id} is signed: {order.purpose}, {order.place}, until {until}")
    return order


def _end(control: Control, name: str) -> None:
    """End the deployment whatever happened: its watchlist, templates and their keys are erased."""
    with suppress(Unknown):  # refused: there never was an order
        control.end(f"deployment-{name}")
        say(f"deployment-{name} has ended")
    with suppress(Unknown):  # erased with its order
        control.erase_watchlist(f"list-{name}")
    say(f"watchlist list-{name} is erased: templates, pictures and their keys")


def _end_what_was_left(control: Control) -> None:
    """End the deployments of a run that was killed: their cameras are gone, their lists must go too."""
    for deployment_id, order in control.orders().items():
        if order.state != "ended":
            control.end(deployment_id)
            say(f"{deployment_id} was left by a run that did not end in order: ended now, its list erased")
    for watchlist_id in control.kept_watchlists():
        control.erase_watchlist(watchlist_id)
        say(f"watchlist {watchlist_id} was left by a run that did not end in order: erased now")


def _invite(options: UpOptions, room: alerts.AlertsService, web: WebServer, order: Order) -> None:
    links = room.login_links(web.url)
    say(
        f"\nControl room of {order.deployment_id}, on this machine only. Each link signs one person in, once:"
    )
    for name, _, link in links:
        say(f"  {name:<22} {link}")
    say("")
    if options.open_browser and links:
        webbrowser.open(links[0][2])


def _when_all_is_seen(plant: _Plant, stop: threading.Event, complete: threading.Event) -> Runner:
    """A runner that ends the run once every recording is over and everything of it was handled."""

    def run(stopped: threading.Event) -> None:
        while not stopped.wait(DRAIN_CHECK_S):
            if plant.ingest.finished.is_set() and plant.broker.is_drained():
                complete.set()
                stop.set()

    return run


def _alerts_of(room: alerts.AlertsService, order: Order) -> list[AlertSummary]:
    return [
        AlertSummary(
            entry=row.entry_id,
            camera=row.camera_id,
            similarity=round(row.similarity, 4),
            threshold=round(row.threshold, 4),
            latency_ms=round(row.latency_ms, 1),
        )
        for row in room.alerts()
        if row.deployment_id == order.deployment_id
    ]
