"""The loop over the in-process broker, and what takes a rebalance at a chosen moment."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import pytest

from overt.runtime.memory import TopicLimits

from .broker_contract import World
from .loop_contract import Bench, Collect, LoopContract, Text
from .test_memory import world_in_memory


class TestContract(LoopContract):
    @pytest.fixture
    def world(self) -> World:
        return world_in_memory()


def test_a_commit_refused_by_a_rebalance_is_counted_and_the_batch_is_done_again() -> None:
    world, collect = world_in_memory(), Collect()
    with ExitStack() as others:

        def handle(messages: Sequence[Text]) -> Iterable[Text]:
            if messages and len(collect.seen) == 0:
                others.enter_context(world.member())
            return collect(messages)

        world.send(*((f"camera-{number}".encode(), b"x") for number in range(16)))
        bench = Bench(world, handle)
        bench.step_until(16)
        assert bench.count("commit_refused", "") == 1
        others.close()
        bench.step_until(16)
    assert collect.seen == [b"x"] * 32
    assert bench.left() == [b"end"]


def test_only_batches_with_records_are_timed() -> None:
    world = world_in_memory()
    bench = Bench(world, Collect())
    bench.loop.step()
    world.send((b"camera-1", b"1"))
    bench.step_until(1)
    assert bench.registry.get_sample_value("overt_loop_batch_records_count", {"service": "test"}) == 1
    assert bench.registry.get_sample_value("overt_loop_batch_seconds_count", {"service": "test"}) == 1
    bench.close()


def test_what_aged_out_before_the_loop_came_to_it_is_counted() -> None:
    world = world_in_memory(TopicLimits(1, max_records=2))
    world.send((b"key", b"1"))
    first = Bench(world, Collect())
    first.step_until(1)
    first.close()
    world.send(*((b"key", b"x") for _ in range(5)))
    bench = Bench(world, Collect())
    bench.step_until(2)
    assert bench.gauge("expired_records_total", topic=world.events) == 3
    bench.close()
