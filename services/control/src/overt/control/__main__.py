"""Runs control as a process of its own, over Kafka: `python -m overt.control`."""

import base64
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from overt.contracts.access import access_of
from overt.control import web
from overt.control.access import Tokens, TokensWrong
from overt.control.api import make_app
from overt.control.control import Control
from overt.control.errors import ControlError
from overt.control.evidence import with_evidence
from overt.control.service import World, build
from overt.control.settings import ControlSettings
from overt.recognition.errors import RecognitionError
from overt.recognition.gallery import Gallery
from overt.recognition.gallery_start import await_gallery
from overt.recognition.pack import load_pack, pack_info
from overt.runtime import logs, process
from overt.runtime.broker import BrokerError
from overt.runtime.clock import SystemClock
from overt.runtime.health import Health, HealthServer, PortTaken
from overt.runtime.kafka import KafkaBroker
from overt.runtime.kafka_access import require_access
from overt.runtime.settings import SettingsError, load

log = structlog.get_logger()

# What was not confirmed is sent again, oldest first: by then the first try must be over, or an older revision
# would follow a newer one.
KAFKA = {"message.timeout.ms": 9_000}
COULD_NOT_BEGIN = (BrokerError, ControlError, PortTaken, RecognitionError, SQLAlchemyError, TokensWrong)


def main() -> int:
    """Run until a signal. 0: ended in order; 1: failed while running; 2: could not begin, said in one line."""
    process.leave_no_core()
    try:
        settings = load(ControlSettings)
    except SettingsError as error:
        sys.stderr.write(f"overt control: {error}\n")
        return process.MISUSED
    logs.configure(settings.log_level, settings.log_format)
    try:
        with process.ended_by_sigterm(), ExitStack() as stack:
            return _run(settings, stack)
    except process.Terminated:
        return process.OK
    except COULD_NOT_BEGIN as error:
        log.error("could not begin", service="control", reason=str(error).splitlines()[0])  # noqa: TRY400
        return process.MISUSED
    except KeyboardInterrupt:
        return process.INTERRUPTED


def _run(settings: ControlSettings, stack: ExitStack) -> int:
    health, registry = Health(), CollectorRegistry()
    health.set("process", "starting")
    tokens = Tokens(settings.control_officer_token, settings.control_service_tokens)
    listener = stack.enter_context(web.listen(settings.control_host, settings.control_port))
    server = HealthServer(health, registry, settings.health_host, settings.health_port)
    stack.callback(server.stop)
    server.start()
    control = _build(settings, health, registry, stack)
    api = web.runner(make_app(control, tokens), listener)
    health.set("process", None)
    log.info(
        "started",
        service="control",
        api_port=listener.getsockname()[1],
        health_port=server.port,
        order_public_key=base64.b64encode(control.order_key.public_bytes_raw()).decode(),
    )
    return process.run({"control": control.run, "api": api}, stop=threading.Event(), health=health)


def _build(
    settings: ControlSettings, health: Health, registry: CollectorRegistry, stack: ExitStack
) -> Control:
    info = with_evidence(pack_info(settings.pack), settings.evidence_files, settings.evidence_key_file)
    pack = load_pack(settings.pack, settings.models_dir, device=settings.device, threads=settings.threads)
    gallery = _gallery(settings, health)
    stack.callback(gallery.close)
    require_access(settings.kafka_bootstrap, settings.kafka_login, access_of("control"))
    broker = KafkaBroker(
        settings.kafka_bootstrap, client_id="overt-control", login=settings.kafka_login, config=KAFKA
    )
    world = World(broker=broker, clock=SystemClock(), registry=registry, health=health)
    control = build(settings.options(), world, pack=replace(pack, info=info), gallery=gallery)
    stack.callback(control.close)
    return control


def _gallery(settings: ControlSettings, health: Health) -> Gallery:
    """Wait until Milvus answers. Raises GalleryUnavailable when it does not in `milvus_patience_s`."""
    token = None if settings.milvus_token is None else settings.milvus_token.get_secret_value()
    return await_gallery(
        lambda: Gallery(settings.milvus_uri, token),
        settings.milvus_patience_s,
        service="control",
        health=health,
        clock=SystemClock(),
    )


if __name__ == "__main__":
    sys.exit(main())
