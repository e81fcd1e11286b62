"""A match whose order is late is waited for, and one whose order never comes is not remembered as recorded."""

import threading

import pytest

from overt.alerts.patience import Stopped
from overt.alerts.service import build_intake
from overt.alerts.stream import require_manual_acks
from overt.alerts.taking import ORDER_PATIENCE_S, Taker
from overt.runtime.loop import LoopLimits
from overt.runtime.process import CannotBegin
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


def test_a_faust_that_could_acknowledge_by_itself_is_refused() -> None:
    require_manual_acks(object())
    with pytest.raises(CannotBegin, match="C extension"):
        require_manual_acks(None)


def test_a_stop_ends_the_wait_for_an_order(world: World, taker: Taker) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped, match="has not arrived yet"):
        taker.take(world.match(), stop)
