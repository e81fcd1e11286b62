"""Runs the fold as a stream on Faust: one agent on matches.v1, with a windowed table over a changelog.

Faust acknowledges what its agents let slip: a message whose agent raised, or was cancelled. So this stream
acknowledges by hand, after the database has the match; and whatever the agent can't mend ends the process,
with that message and all later ones uncommitted. Nor is a match taken before those that come before it: see
places.py.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from faust.types import EventT

from overt.alerts.patience import LIMIT_S, GivenUp, Patience, Rebuilds
from overt.alerts.places import Places
from overt.alerts.stream_app import Cluster, application, require_manual_acks, windowed_table
from overt.alerts.taking import Taker
from overt.alerts.windows import entry_key, mark_of
from overt.contracts.topics import MATCHES
from overt.runtime.broker import Record
from overt.runtime.clock import Clock
from overt.runtime.health import Health

log = structlog.get_logger()

# Of one entry in one window; what is forgotten is known again by the database.
MARKS_KEPT = 200
STOP_CHECK_S = 0.05
# So long without a match, and it is looked whether there is one.
BEHIND_S = 2.0


class MatchStream:
    """The runner of the stream. A Faust that breaks because Kafka is away is built anew."""

    def __init__(self, cluster: Cluster, taker: Taker, health: Health, clock: Clock) -> None:
        """Take down what is needed. Raises CannotBegin: see require_manual_acks."""
        require_manual_acks()
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
        rebuilds = Rebuilds(self._clock)
        while not stop.is_set():
            self._health.set("stream", "has not joined its group yet")
            app = application(self._cluster, folder)
            places = Places(self._cluster, self._clock, self._taker.tell_expired)
            worker = _Worker(app, self._taker, places, health=self._health, clock=self._clock, stop=stop)
            reason = await worker.run()
            if reason is None:
                return
            self._health.set("stream", reason)
            pause_s = rebuilds.pause_s(worker.ran_s, reason)
            log.warning("the stream broke and begins anew", reason=reason, pause_s=pause_s)
            await asyncio.sleep(pause_s)


class _Worker:
    """One Faust application from its start to its end. `ran_s`: from its joining until it broke, else 0."""

    def __init__(  # noqa: PLR0913 - the parts of a worker, each given once
        self,
        app: faust.App,
        taker: Taker,
        places: Places,
        *,
        health: Health,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self._taker = taker
        self._clock = clock
        self._stop = stop
        self._joined_at_s: float | None = None
        self._failure: BaseException | None = None
        self._health = health
        self.ran_s = 0.0
        # One thread: the orders and the dead letters belong to it. Faust's event loop stays free.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts-fold")
        self._app = app
        self._windows = windowed_table(self._app)
        topic = self._app.topic(
            MATCHES.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw",
            allow_empty=True,
        )  # fmt: skip
        self._app.agent(topic, name="fold")(self._fold)
        self._app.on_rebalance_complete.connect(self._on_joined)
        self._app.on_partitions_assigned.connect(self._on_assigned)
        self._places = places
        self._in_hand, self._last_s = False, clock.monotonic_s()
        # The partitions on which Faust has to go back.
        self._skipped: set[Any] = set()
        self._patience = Patience("offsets", health, clock)

    async def run(self) -> str | None:
        """Return None when told to stop, else why Faust broke. Raises what the agent raised, GivenUp."""
        try:
            await self._app.start()
            in_turn = asyncio.create_task(self._keep_in_turn())
            await self._until(lambda: self._stop.is_set() or self._app.crashed or in_turn.done())
            if in_turn.done() and not self._app.crashed:
                in_turn.result()  # raises: it has no end of its own
            in_turn.cancel()
        except KafkaError as error:
            return await self._broken(error)
        if self._app.crashed:
            return await self._broken(self._app.crash_reason)
        # Finishes the match in hand and commits; with its database away it can't, and the match comes back.
        await self._end()
        return None

    async def _end(self) -> None:
        """Stop Faust, then the thread, off the event loop. Raises as `_until` does; GivenUp if it takes long."""
        await self._ended(self._app.stop())
        await self._ended(asyncio.to_thread(self._thread.shutdown))
        await self._ended(asyncio.to_thread(self._places.close))

    async def _ended(self, ending: Coroutine[Any, Any, object]) -> None:
        task, begun_s = asyncio.create_task(ending), self._clock.monotonic_s()

        def is_over() -> bool:
            if self._clock.monotonic_s() - begun_s >= LIMIT_S:
                raise GivenUp(f"Faust did not stop within {LIMIT_S:.0f} s")
            return task.done()

        await self._until(is_over)
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, BaseException):
            log.warning("Faust did not stop in order", error=type(outcome).__name__)

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Return once `reached()`. Raises what the agent raised, and then doesn't stop Faust, which would wait."""
        while True:
            if self._failure is not None:
                raise self._failure
            if reached():
                return
            await asyncio.sleep(STOP_CHECK_S)

    async def _fold(self, stream: Any) -> None:  # Faust types only part of a stream
        async for event in stream.noack().events():
            folding = asyncio.create_task(self._in_turn(event))
            self._in_hand = True
            try:
                await asyncio.wait([folding])
            finally:
                self._in_hand, self._last_s = False, self._clock.monotonic_s()
            self._failure = folding.exception()
            if self._failure is not None:
                # Nothing escapes, nothing goes on: the process ends.
                await asyncio.Event().wait()
            if folding.result():
                await stream.ack(event)
            else:
                # Not to be waited for at a stop, and not to be committed.
                event.message.acked = True

    async def _in_turn(self, event: EventT[bytes]) -> bool:
        """Fold the match if it is its turn; else have Faust go back to the one whose turn it is."""
        at, offset = event.message.tp, event.message.offset
        expected = await self._in_thread(self._next_of, at.partition)
        if offset <= expected:
            await self._fold_one(event)
            self._places.passed(at.partition, offset)
            self._skipped.discard(at)
            self._tell_all_before_is_done(at, offset)
            return True
        self._skipped.add(at)
        return False

    async def _go_back(self) -> None:
        """Have Faust fetch again what it skipped, until it comes: it may drop that once more."""
        consumer: Any = self._app.consumer
        for at in list(self._skipped):
            if not self._places.may_go_back(at.partition):
                continue
            expected = await self._in_thread(self._next_left, at.partition)
            if at not in self._skipped:
                continue  # it has come meanwhile
            log.warning("faust skipped matches, going back", partition=at.partition, offset=expected)
            try:
                await consumer.seek(at, expected)
            except KafkaError:
                self._skipped.discard(at)  # moved to another worker meanwhile

    def _tell_all_before_is_done(self, at: Any, offset: int) -> None:
        """Have Faust commit on from here where retention took what was before; otherwise it knows."""
        consumer: Any = self._app.consumer
        committed = consumer._committed_offset[at]  # noqa: SLF001 - nothing public says it
        if committed is not None and committed < offset and not consumer._acked[at]:  # noqa: SLF001
            consumer._committed_offset[at] = offset  # noqa: SLF001

    async def _look_behind(self) -> None:
        """Notice what Faust dropped at the end of a partition: nothing comes after it that would show it."""
        if self._in_hand or self._clock.monotonic_s() - self._last_s < BEHIND_S:
            return
        for at, end in self._ends().items():
            expected = await self._in_thread(self._next_of, at.partition)
            if end > expected:
                self._skipped.add(at)
        self._last_s = self._clock.monotonic_s()

    async def _keep_in_turn(self) -> None:
        while True:
            await self._look_behind()
            await self._go_back()
            if self._joined_at_s is not None:
                self._taker.tell_lag(
                    self._places.waiting({at.partition: end for at, end in self._ends().items()})
                )
            await asyncio.sleep(STOP_CHECK_S)

    def _ends(self) -> dict[Any, int]:
        """Return where the partitions of matches that are read here end, as far as the last fetches told."""
        consumer: Any = self._app.consumer
        ends = {}
        for at in consumer.assignment():
            # Faust's own thread may just have given it away: then aiokafka asserts.
            with suppress(AssertionError):
                end = consumer.highwater(at) if at.topic == MATCHES.name else None
                if end is not None:
                    ends[at] = end
        return ends

    def _next_of(self, partition: int, stop: threading.Event) -> int:
        return self._patience.until_done(lambda: self._places.next_of(partition), stop)

    def _next_left(self, partition: int, stop: threading.Event) -> int:
        return self._patience.until_done(lambda: self._places.next_left(partition), stop)

    async def _on_assigned(self, *_: object, **__: object) -> None:
        self._places.forget()
        self._skipped.clear()
        consumer: Any = self._app.consumer
        # What Faust takes for gaps in the topic is what it dropped itself, and it would commit past that.
        consumer._add_gap = _ignore_gap  # noqa: SLF001 - nothing public turns it off

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
        if self._joined_at_s is None:
            self._joined_at_s = self._clock.monotonic_s()
        self._health.set("stream", None)

    async def _broken(self, error: BaseException | None) -> str:
        if self._joined_at_s is not None:
            self.ran_s = self._clock.monotonic_s() - self._joined_at_s
        await self._end()
        # Its kind alone: the text may hold what was in a record.
        kind = type(error).__name__
        return f"{kind}: Kafka is away" if isinstance(error, KafkaError) else f"{kind} in Faust"


async def _ignore_gap(*_: object) -> None:
    """Stand for Faust's own noting of a gap in the offsets: matches.v1 has none but what retention made."""


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
