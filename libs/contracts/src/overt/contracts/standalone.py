"""Starts a service as a process of its own: settings, logs, Kafka, keys from control, health, orderly end."""

import base64
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prometheus_client import CollectorRegistry

from overt.contracts.access import access_of
from overt.contracts.context import Context
from overt.runtime import logs, process
from overt.runtime.broker import BrokerError
from overt.runtime.clock import SystemClock
from overt.runtime.health import HealthServer, PortTaken
from overt.runtime.kafka import KafkaBroker
from overt.runtime.kafka_access import require_access
from overt.runtime.keys import KeyGone
from overt.runtime.keys_http import KeysRefused, KeysUnavailable, RemoteKeys
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.settings import ServiceSettings, SettingsError, load

log = structlog.get_logger()

S = TypeVar("S", bound=ServiceSettings)

KafkaConfig = Mapping[str, str | int | bool]
DRAIN_TIMEOUT_S = 25.0  # Kubernetes kills after 30 s
NO_KEY_ID = "none"
ASK_EVERY_S = 0.5
SAY_EVERY_S = 10.0


def connect(settings: ServiceSettings, service: str, *, kafka: KafkaConfig | None = None) -> Context:
    """Return the world as `settings` describe it; nothing is connected before it is used.

    `kafka`: librdkafka settings that stand above the runtime's (see KafkaBroker).
    """
    clock, registry = SystemClock(), CollectorRegistry()
    broker = KafkaBroker(
        settings.kafka_bootstrap,
        client_id=f"overt-{service}",
        login=settings.kafka_login,
        instance_id=settings.kafka_instance_id,
        config=kafka,
    )
    return Context(
        broker=broker,
        keys=RemoteKeys(settings.control_url, settings.service_token, clock),
        order_key=Ed25519PublicKey.from_public_bytes(base64.b64decode(settings.order_public_key)),
        clock=clock,
        registry=registry,
        loops=LoopCollectors(registry),
    )


def main(
    service: str,
    settings: type[S],
    build: Callable[[Context, S], Mapping[str, process.Runner]],
    *,
    user: str | None = None,
    kafka: KafkaConfig | None = None,
) -> int:
    """Run a service until a signal and return its exit code: a whole `__main__`.

    `user`: whose access at Kafka it needs, if not that of its own name. 0: ended in order; 1: failed while
    running; 2: could not begin (settings, port, Kafka, control, or what `build` raises as CannotBegin). Each
    failure is one line on standard error.
    """
    process.leave_no_core()
    try:
        told = load(settings)
    except SettingsError as error:
        sys.stderr.write(f"overt {service}: {error}\n")
        return process.MISUSED
    logs.configure(told.log_level, told.log_format)
    context = connect(told, service, kafka=kafka)
    health = context.health
    health.set("process", "starting")
    try:
        server = HealthServer(health, context.registry, told.health_host, told.health_port)
    except PortTaken as error:
        log.error("could not begin", service=service, reason=str(error))  # noqa: TRY400 - one line
        return process.MISUSED
    server.start()
    try:
        with process.ended_by_sigterm():
            _require_control(context, told.control_patience_s)
            require_access(told.kafka_bootstrap, told.kafka_login, access_of(user or service))
            runners = build(context, told)
            health.set("process", None)
            log.info("started", service=service, health_port=server.port)
            return process.run(
                runners, stop=threading.Event(), health=health, drain_timeout_s=DRAIN_TIMEOUT_S
            )
    except process.Terminated:
        return process.OK
    except (BrokerError, KeysRefused, KeysUnavailable, process.CannotBegin) as error:
        log.error("could not begin", service=service, reason=str(error))  # noqa: TRY400 - one line
        return process.MISUSED
    except KeyboardInterrupt:
        return process.INTERRUPTED
    finally:
        server.stop()


def _require_control(context: Context, patience_s: float) -> None:
    """Wait until control answers. Raises KeysUnavailable when it does not in `patience_s`, KeysRefused at once.

    A wrong address or token is to show at the start, not with the first frame of a deployment; that control
    starts later is no reason to end. Control answers whoever it knows that there is no such key.
    """
    begun_s = said_s = context.clock.monotonic_s()
    while True:
        try:
            with contextlib.suppress(KeyGone):
                context.keys.by_id(NO_KEY_ID)
        except KeysUnavailable as error:
            now_s = context.clock.monotonic_s()
            if now_s - begun_s >= patience_s:
                raise
            if now_s - said_s >= SAY_EVERY_S:
                said_s = now_s
                log.warning("waiting for control", reason=str(error), waited_s=round(now_s - begun_s))
            time.sleep(ASK_EVERY_S)
        else:
            return
