"""What the stream does about a Faust that breaks, that hangs, or that must not be used."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]
from faust import streams

from overt.alerts import stream as stream_module
from overt.alerts.patience import LIMIT_S, GivenUp
from overt.alerts.places import Places
from overt.alerts.service import build_intake
from overt.alerts.stream import MatchStream, _Worker
from overt.alerts.stream_app import C_ITERATOR, Cluster, application
from overt.alerts.taking import Taker
from overt.runtime.clock import ManualClock
from overt.runtime.health import Health
from overt.runtime.loop import LoopLimits
from overt.runtime.process import CannotBegin
from services.alerts.tests.conftest import START_S, World

NOWHERE = Cluster("127.0.0.1:1")
# A test that hangs here has failed; nothing waits for this otherwise.
HANGS_S = 20


@pytest.fixture
def taker(world: World) -> Taker:
    taking = build_intake(world.service._base)
    return Taker(world.context, taking.intake, taking.orders, limits=LoopLimits())


def worker_of(app: faust.App, taker: Taker, world: World) -> _Worker:
    places = Places(NOWHERE, world.clock, taker.tell_expired)
    return _Worker(app, taker, places, health=Health(), clock=world.clock, stop=threading.Event())


async def breaks() -> None:
    raise KafkaConnectionError


async def nothing() -> None:
    return


End = Callable[[_Worker], Coroutine[Any, Any, None]]
RunBroken = Callable[[End], str | None]


@pytest.fixture
def run_broken(taker: Taker, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunBroken:
    """Run a worker whose Faust breaks at its start and ends as the argument says; return why it broke."""

    async def go(end: End) -> str | None:
        app = application(NOWHERE, str(tmp_path))
        worker = worker_of(app, taker, world)
        monkeypatch.setattr(app, "start", breaks)
        monkeypatch.setattr(app, "stop", lambda: end(worker))
        return await asyncio.wait_for(worker.run(), HANGS_S)

    return lambda end: asyncio.run(go(end))


def test_a_faust_that_could_acknowledge_by_itself_is_refused(
    taker: Taker, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    MatchStream(NOWHERE, taker, Health(), world.clock)
    monkeypatch.setattr(streams, C_ITERATOR, None)
    with pytest.raises(CannotBegin, match="C extension"):
        MatchStream(NOWHERE, taker, Health(), world.clock)


def test_faust_keeps_its_files_where_it_is_told(tmp_path: Path) -> None:
    assert Path(application(NOWHERE, str(tmp_path)).conf.datadir) == tmp_path


def test_a_broken_faust_that_does_not_stop_is_given_up(run_broken: RunBroken, world: World) -> None:
    async def never(_: _Worker) -> None:
        world.clock.advance(LIMIT_S)
        await asyncio.Event().wait()

    with pytest.raises(GivenUp, match="did not stop"):
        run_broken(never)


def test_what_the_agent_raises_while_a_broken_faust_stops_ends_the_process(run_broken: RunBroken) -> None:
    async def failing(worker: _Worker) -> None:
        worker._failure = ZeroDivisionError()
        await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        run_broken(failing)


def test_the_event_loop_stays_free_while_the_match_in_hand_is_finished(run_broken: RunBroken) -> None:
    released = threading.Event()
    finished = []

    async def with_a_match_in_hand(worker: _Worker) -> None:
        worker._thread.submit(lambda: finished.append(released.wait(HANGS_S)))
        asyncio.get_running_loop().call_soon(released.set)

    assert run_broken(with_a_match_in_hand) == "KafkaConnectionError: Kafka is away"
    assert finished == [True]


def test_why_faust_broke_is_said_by_kind_and_never_by_its_text(
    taker: Taker, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> str:
        app = application(NOWHERE, str(tmp_path))
        monkeypatch.setattr(app, "stop", nothing)
        worker = worker_of(app, taker, world)
        return await worker._broken(ValueError("entry-1"))

    assert asyncio.run(go()) == "ValueError in Faust"


class ShortLived:
    """A worker that joins, breaks soon, and is built anew."""

    ran_s = 5.0
    clock: ManualClock

    def __init__(self, *_: object, **__: object) -> None:
        pass

    async def run(self) -> str:
        self.clock.advance(LIMIT_S / 3)
        assert self.clock.monotonic_s() < START_S + 2 * LIMIT_S, "it never gives up"
        return "it broke"


def test_a_stream_that_breaks_soon_after_joining_gives_up_in_the_end(
    taker: Taker, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShortLived, "clock", world.clock, raising=False)
    monkeypatch.setattr(stream_module, "_Worker", ShortLived)
    health = Health()
    with pytest.raises(GivenUp, match="it broke"):
        asyncio.run(MatchStream(NOWHERE, taker, health, world.clock)._serve(threading.Event(), str(tmp_path)))
    assert health.problems() == {"stream": "it broke"}
