"""Runs the fold as a stream on Faust: one agent on matches.v1, with a windowed table over a changelog.

Faust acknowledges what its agents let slip: a message whose agent raised, or was cancelled. So this stream
acknowledges by hand, after the database has the match; and whatever the agent can't mend ends the process,
with that message and all later ones uncommitted.
"""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from faust import streams
from faust.types import EventT

from overt.alerts.patience import FIRST_PAUSE_S, LONGEST_PAUSE_S, GivenUp
from overt.alerts.taking import Taker
from overt.alerts.windows import entry_key, mark_of
from overt.contracts.topics import ALERT_WINDOWS, MATCHES
from overt.runtime.broker import Record
from overt.runtime.clock import Clock
from overt.runtime.health import Health
from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.process import CannotBegin

log = structlog.get_logger()

GROUP = "alerts"
# The table only spares work, so its windows need not be the fold's. Redelivery comes within minutes.
TABLE_WINDOW_S = 60
TABLE_EXPIRES_S = 3600
# Faust's own name of what its C extension brings; None without it.
C_ITERATOR = "_CStreamIterator"
# Of one entry in one window; what is forgotten is known again by the database.
MARKS_KEPT = 200
STOP_CHECK_S = 0.05
KAFKA_LIMIT_S = 300.0
MAX_MATCH_BYTES = 9_000_000
TUNING: Mapping[str, Any] = {
    "broker_commit_interval": 0.5,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 1.0,
    "broker_rebalance_timeout": 30.0,
    # More than the patience with a database that is away.
    "broker_max_poll_interval": 600.0,
    "broker_max_poll_records": 16,
    # How many matches wait in memory, with their pictures.
    "stream_buffer_maxsize": 16,
    "consumer_max_fetch_size": MAX_MATCH_BYTES,
    "stream_wait_empty": True,
    "store": "memory://",
    "table_standby_replicas": 0,
    # `overt topics apply` makes the topics.
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "web_enabled": False,
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Kafka is and who logs in; `instance_id` as in KafkaBroker."""

    bootstrap: str
    login: KafkaLogin | None = None
    instance_id: str | None = None


def require_manual_acks(iterator: object) -> None:
    """Raise CannotBegin when Faust runs without its C extension (`iterator` is None).

    Its Python twin acknowledges what a rebalance made it skip, also in a stream that acknowledges by hand:
    a match that was not recorded would be committed.
    """
    if iterator is None:
        raise CannotBegin(
            "faust runs without its C extension and could lose matches: unset NO_CYTHON, or install a "
            "faust-streaming that was built with it"
        )


class MatchStream:
    """The runner of the stream. A Faust that breaks because Kafka is away is built anew."""

    def __init__(self, cluster: Cluster, taker: Taker, health: Health, clock: Clock) -> None:
        """Take down what is needed. Raises CannotBegin: see require_manual_acks."""
        require_manual_acks(getattr(streams, C_ITERATOR))
        self._cluster = cluster
        self._taker = taker
        self._health = health
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Fold until `stop` is set, finish the match in hand, commit it, leave the group.

        Raises whatever the agent could not mend, GivenUp when Kafka was away for too long; nothing more is
        committed then.
        """
        # Not asyncio.run: after a failure it would end Faust's tasks in order, which waits for the agent.
        loop = asyncio.new_event_loop()
        # Faust wants a folder for tables, which stays empty: the table is in memory.
        with TemporaryDirectory(prefix="overt-alerts-") as folder:
            loop.run_until_complete(self._serve(stop, folder))
        loop.close()

    async def _serve(self, stop: threading.Event, folder: str) -> None:
        well_at_s, pause_s = self._clock.monotonic_s(), FIRST_PAUSE_S
        while not stop.is_set():
            self._health.set("stream", "has not joined its group yet")
            worker = _Worker(_application(self._cluster, folder), self._taker, self._health, stop)
            reason = await worker.run()
            if reason is None:
                return
            self._health.set("stream", reason)
            if worker.joined:
                well_at_s, pause_s = self._clock.monotonic_s(), FIRST_PAUSE_S
            if self._clock.monotonic_s() - well_at_s >= KAFKA_LIMIT_S:
                raise GivenUp(reason)
            log.warning("the stream broke and begins anew", reason=reason, pause_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


class _Worker:
    """One Faust application from its start to its end."""

    def __init__(self, app: faust.App, taker: Taker, health: Health, stop: threading.Event) -> None:
        self._taker = taker
        self._stop = stop
        self._failure: BaseException | None = None
        self._health = health
        self.joined = False
        # One thread: the orders and the dead letters belong to it. Faust's event loop stays free.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts-fold")
        self._app = app
        self._windows = _windowed_table(self._app)
        topic = self._app.topic(
            MATCHES.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw",
            allow_empty=True,
        )  # fmt: skip
        self._app.agent(topic, name="fold")(self._fold)
        self._app.on_rebalance_complete.connect(self._on_joined)

    async def run(self) -> str | None:
        """Return None when told to stop, else why Faust broke. Raises what the agent raised."""
        try:
            await self._app.start()
            await self._until(lambda: self._stop.is_set() or self._app.crashed)
        except KafkaError as error:
            return await self._broken(error)
        if self._app.crashed:
            return await self._broken(self._app.crash_reason)
        # Finishes the match in hand and commits; with its database away it can't, and the match comes back.
        stopping = asyncio.create_task(self._app.stop())
        await self._until(stopping.done)
        self._thread.shutdown()
        return None

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Return once `reached()`. Raises what the agent raised, and then doesn't stop Faust, which would wait."""
        while not reached():
            if self._failure is not None:
                raise self._failure
            await asyncio.sleep(STOP_CHECK_S)

    async def _fold(self, stream: Any) -> None:  # Faust types only part of a stream
        async for event in stream.noack().events():
            folding = asyncio.create_task(self._fold_one(event))
            await asyncio.wait([folding])
            self._failure = folding.exception()
            if self._failure is not None:
                # Nothing escapes, nothing goes on: the process ends.
                await asyncio.Event().wait()
            await stream.ack(event)

    async def _fold_one(self, event: EventT[bytes]) -> None:
        match = await self._in_thread(self._taker.open, _record_of(event))
        if match is None:
            return
        # Of the window in which it was captured, whatever the time is now.
        marks = self._windows.relative_to(match.shot.captured_at_ns / 1e9)
        key, mark = entry_key(match), mark_of(match)
        known = list(marks[key].value()) if key in marks else []
        if mark in known:
            self._taker.pass_over()
            return
        if await self._in_thread(self._taker.take, match):
            marks[key] = [*known, mark][-MARKS_KEPT:]

    async def _in_thread(self, action: Any, argument: Any) -> Any:
        work = partial(action, argument, self._stop)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _on_joined(self, *_: object, **__: object) -> None:
        self.joined = True
        self._health.set("stream", None)

    async def _broken(self, error: BaseException | None) -> str:
        await self._app.stop()
        self._thread.shutdown()
        return f"{type(error).__name__}: Kafka is away" if isinstance(error, KafkaError) else f"{error!r}"


def _application(cluster: Cluster, folder: str) -> faust.App:
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    brokers = ";".join(f"kafka://{address}" for address in cluster.bootstrap.split(","))
    return faust.App(
        GROUP,
        broker=brokers,
        datadir=folder,
        broker_client_id="overt-alerts",
        broker_credentials=_credentials(cluster.login),
        consumer_group_instance_id=cluster.instance_id and f"{cluster.instance_id}.{GROUP}",
        **TUNING,
    )


def _windowed_table(app: faust.App) -> Any:  # Faust types only part of it
    # JSON as it is, without a type: the key of a window is a list there, and a type would make it text.
    changelog = app.topic(
        ALERT_WINDOWS.name, key_serializer="json", value_serializer="json", internal=True, acks=False,
        allow_empty=True,
    )  # fmt: skip
    table = app.Table("alert-windows", partitions=MATCHES.partitions, changelog_topic=changelog)
    windows = table.tumbling(TABLE_WINDOW_S, expires=TABLE_EXPIRES_S)
    # Making a window of it gave it a name of Faust's own again, from which nothing would be recovered.
    table.changelog_topic = changelog
    return windows


def _credentials(login: KafkaLogin | None) -> faust.SASLCredentials | None:
    if login is None:
        return None
    return faust.SASLCredentials(
        username=login.username,
        password=login.password.get_secret_value(),
        ssl_context=ssl.create_default_context(cafile=login.ca_file),
        mechanism="SCRAM-SHA-512",
    )


def _record_of(event: EventT[bytes]) -> Record:
    message = event.message
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key or b"",
        value=message.value,
        timestamp_ms=int(message.timestamp * 1000),
    )
