"""A match whose order is late is waited for, and one that is refused is not remembered as recorded."""

import threading

import pytest

from overt.alerts.intake import ORDER_PATIENCE_S
from overt.alerts.patience import Stopped
from overt.alerts.service import build_intake
from overt.alerts.taking import Taker
from overt.contracts.messages import MatchMade
from overt.contracts.topics import MATCHES
from overt.contracts.wire import Out, TopicWire
from overt.runtime.broker import Record
from overt.runtime.loop import LoopLimits
from services.alerts.tests.conftest import World
from services.alerts.tests.test_patience import Pausing


@pytest.fixture
def taker(world: World) -> Taker:
    taking = build_intake(world.service._base)
    return Taker(world.context, taking.intake, taking.orders, limits=LoopLimits())


def test_a_match_waits_for_an_order_that_is_late(world: World, taker: Taker) -> None:
    def after_a_pause() -> None:
        if len(stop.pauses) == 3:
            world.order()

    stop = Pausing(world.clock, after_a_pause)
    assert taker.take(world.match(), stop)
    assert len(stop.pauses) == 3
    assert len(world.service.alerts()) == 1


def test_a_match_whose_order_never_comes_is_refused_after_a_while_and_not_taken_for_recorded(
    world: World, taker: Taker
) -> None:
    stop = Pausing(world.clock)
    assert not taker.take(world.match(), stop)
    assert ORDER_PATIENCE_S <= sum(stop.pauses) < ORDER_PATIENCE_S + 3
    assert world.metric("overt_alerts_matches_total", outcome="no_order") == 1
    # Nobody waits for the same order twice: a flood of such matches would stop all others.
    assert not taker.take(world.match(number=2), Pausing(world.clock, lambda: pytest.fail("waited")))
    assert world.service.alerts() == []


def test_a_match_outside_its_order_is_not_taken_for_recorded(world: World, taker: Taker) -> None:
    world.order()
    assert not taker.take(world.match(camera_id="elsewhere"), Pausing(world.clock))
    assert world.metric("overt_alerts_matches_total", outcome="outside_order") == 1


def test_the_age_of_the_match_in_hand_and_the_waiting_are_measured(world: World, taker: Taker) -> None:
    def lag_s() -> float:
        return world.metric("overt_loop_lag_seconds", service="alerts", topic=MATCHES.name)

    def paused() -> float:
        return world.metric("overt_loop_paused", service="alerts")

    def on_pause() -> None:
        seen.append((lag_s(), paused()))
        if len(seen) == 4:
            world.order()

    seen: list[tuple[float, float]] = []
    stop, record = Pausing(world.clock, on_pause), record_of(world, world.match())
    world.clock.advance(7)
    match = taker.open(record, stop)
    assert match is not None
    assert lag_s() == pytest.approx(7)
    assert paused() == 0
    assert taker.take(match, stop)
    assert [age_s for age_s, _ in seen] == pytest.approx([7, 7.2, 7.6, 8.4], abs=0.01)
    assert {paused for _, paused in seen} == {1}
    assert (lag_s(), paused()) == (0, 0)


def record_of(world: World, match: MatchMade) -> Record:
    sealed = TopicWire[MatchMade](MATCHES, world.keys).seal(Out(MATCHES, "key", match))
    return Record(MATCHES.name, 0, 0, sealed.key, sealed.value, int(world.clock.now_s() * 1000))


def test_a_stop_ends_the_wait_for_an_order(world: World, taker: Taker) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped, match="has not arrived yet"):
        taker.take(world.match(), stop)
