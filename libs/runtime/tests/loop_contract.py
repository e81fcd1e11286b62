"""What the loop must do over every broker; run in process here and over a real Kafka in tests/integration."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from overt.runtime.broker import BrokerAway, Consumer, Producer, Record, Unconfirmed, Undelivered
from overt.runtime.clock import ManualClock
from overt.runtime.keys import KeyGone
from overt.runtime.loop import Addressed, Loop, LoopLimits, RecordRefused, TooManyBad, Unavailable
from overt.runtime.loop_metrics import LoopCollectors

from .broker_contract import KEYS, PATIENCE_S, Reading, World, numbered, read, until, values

BAD, GONE, CLOSED = b"bad", b"gone", b"closed"
LIMITS = LoopLimits(max_batch=32, poll_timeout_s=0.1, flush_timeout_s=PATIENCE_S, first_pause_s=0.05)


@dataclass(frozen=True)
class Text:
    """The messages of these tests, in and out."""

    value: bytes


class TextWire:
    """Texts as they are; three of them can't be read or sent."""

    def __init__(self, world: World) -> None:
        self._world = world

    def open(self, record: Record) -> Text:
        if record.value == BAD:
            raise RecordRefused("it is bad")
        if record.value == GONE:
            raise KeyGone("destroyed")
        return Text(record.value or b"")

    def seal(self, out: Text) -> Addressed:
        if out.value == CLOSED:
            raise KeyGone("closed")
        return Addressed(self._world.dead, b"out", out.value)

    def dead_letter(self, record: Record, reason: str) -> Addressed:
        return Addressed(self._world.dead, record.key, reason.encode())


class Away:
    """Answers its first calls with `error`, `times` of them, then lets them through; keeps count of all."""

    def __init__(self, error: Exception, times: int) -> None:
        self._error, self._left, self.calls = error, times, 0

    def check(self) -> None:
        self.calls += 1
        if self._left > 0:
            self._left -= 1
            raise self._error

    def recover(self) -> None:
        self._left = 0


FOREVER = Away(Unavailable("away for good"), 1_000_000)


class AwayWire(TextWire):
    """The wire while control is away: opening or sealing fails at first."""

    def __init__(self, world: World, opening: Away, sealing: Away) -> None:
        super().__init__(world)
        self._opening, self._sealing = opening, sealing

    def open(self, record: Record) -> Text:
        self._opening.check()
        return super().open(record)

    def seal(self, out: Text) -> Addressed:
        self._sealing.check()
        return super().seal(out)


class LateFlush:
    """A producer whose confirmations are late at first."""

    def __init__(self, producer: Producer, late: Away) -> None:
        self._producer, self._late = producer, late
        self.produce, self.close = producer.produce, producer.close

    def flush(self, timeout_s: float) -> None:
        self._late.check()
        self._producer.flush(timeout_s)


class FailingFlush:
    """A producer whose confirmations never come."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.produce, self.close = producer.produce, producer.close

    def flush(self, timeout_s: float) -> None:
        raise Undelivered("1 records were not confirmed")


Handle = Callable[[Sequence[Text]], Iterable[Text]]


@dataclass
class Bench:
    """A loop on a world, and what came of it. Its outputs go to the dead-letter topic, for want of another."""

    world: World
    handle: Handle
    limits: LoopLimits = LIMITS
    producer: Callable[[Producer], Producer] = lambda producer: producer
    wire: Callable[[World], TextWire] = TextWire
    clock: ManualClock = field(default_factory=ManualClock)
    ticks: list[int] = field(default_factory=list)
    told: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.consumer: Consumer = self.world.broker.consumer(self.world.group, [self.world.events])
        self._made = self.world.broker.producer()
        self.loop: Loop[Text, Text] = Loop(
            consumer=self.consumer,
            producer=self.producer(self._made),
            wire=self.wire(self.world),
            handle=self.handle,
            metrics=LoopCollectors(self.registry).for_service("test"),
            limits=self.limits,
            tick=lambda: self.ticks.append(1),
            tell=self.told.append,
            monotonic_s=self.clock.monotonic_s,
        )

    def step_until(self, records: int) -> None:
        done = 0

        def enough() -> bool:
            nonlocal done
            done += self.loop.step()
            return done >= records

        until(enough)

    def count(self, outcome: str, topic: str | None = None) -> float:
        labels = {
            "service": "test",
            "topic": self.world.events if topic is None else topic,
            "outcome": outcome,
        }
        return self.registry.get_sample_value("overt_loop_records_total", labels) or 0

    def step_until_waiting(self) -> None:
        until(lambda: [self.loop.step(), self.gauge("paused") == 1][1])

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"overt_loop_{name}", {"service": "test", **labels})

    def close(self) -> None:
        self.consumer.close()

    def left(self) -> list[bytes | None]:
        """Close the loop's consumer and return what its group would get next; an end mark closes the list."""
        self.close()
        self.world.send((b"camera-1", b"end"))
        with self.world.member() as consumer:
            records: list[Record] = []

            def ended() -> bool:
                records.extend(consumer.poll(100, 0.1))
                return b"end" in values(records)

            until(ended)
        return values(records)

    def sent(self, count: int) -> list[bytes | None]:
        with self.world.member(group="out", topic=self.world.dead) as consumer:
            return values(read(consumer, count))


class Collect:
    """A handler that keeps what it was given and answers with it."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []

    def __call__(self, messages: Sequence[Text]) -> Iterable[Text]:
        self.batches.append([message.value for message in messages])
        return messages

    @property
    def seen(self) -> list[bytes]:
        return [value for batch in self.batches for value in batch]


class LoopContract:
    """Subclass with a `world` fixture."""

    def test_what_is_handled_is_sent_and_committed(self, world: World) -> None:
        world.send(*numbered(5))
        handle = Collect()
        bench = Bench(world, handle)
        bench.step_until(5)
        wanted = [value for _, value in numbered(5)]
        assert handle.seen == wanted
        assert bench.sent(5) == wanted
        assert (bench.count("read"), bench.count("produced", world.dead)) == (5, 5)
        assert bench.left() == [b"end"]

    def test_what_cannot_be_read_is_parked_with_its_reason_and_the_rest_goes_on(self, world: World) -> None:
        world.send((b"camera-1", b"1"), (b"camera-1", BAD), (b"camera-1", b"2"))
        handle = Collect()
        bench = Bench(world, handle)
        bench.step_until(3)
        assert handle.seen == [b"1", b"2"]
        assert sorted(value or b"" for value in bench.sent(3)) == [b"1", b"2", b"it is bad"]
        assert (bench.count("dead"), bench.count("read")) == (1, 2)
        assert bench.left() == [b"end"]

    def test_what_lost_its_key_is_expired_and_not_parked(self, world: World) -> None:
        world.send((b"camera-1", GONE), (b"camera-1", b"1"))
        handle = Collect()
        bench = Bench(world, handle)
        bench.step_until(2)
        assert handle.seen == [b"1"]
        assert (bench.count("expired"), bench.count("dead")) == (1, 0)
        assert bench.sent(1) == [b"1"]
        assert bench.left() == [b"end"]

    def test_an_output_of_a_closed_deployment_is_dropped_and_counted(self, world: World) -> None:
        world.send((b"camera-1", CLOSED), (b"camera-1", b"1"))
        bench = Bench(world, Collect())
        bench.step_until(2)
        assert bench.count("unsendable", "") == 1
        assert bench.sent(1) == [b"1"]
        assert bench.left() == [b"end"]

    def test_a_crash_in_the_handler_commits_nothing_and_the_batch_comes_back(self, world: World) -> None:
        def crash(messages: Sequence[Text]) -> Iterable[Text]:
            yield from messages[:1]
            if messages:
                raise ZeroDivisionError

        world.send(*numbered(3))
        bench = Bench(world, crash)
        with pytest.raises(ZeroDivisionError):
            bench.step_until(3)
        assert bench.left() == [b"0", b"1", b"2", b"end"]

    def test_an_output_that_is_not_confirmed_commits_nothing(self, world: World) -> None:
        world.send(*numbered(2))
        bench = Bench(world, Collect(), producer=FailingFlush)
        with pytest.raises(Undelivered):
            bench.step_until(2)
        assert bench.left() == [b"0", b"1", b"end"]

    def test_a_handler_that_lacks_something_is_asked_again_with_the_same_batch(self, world: World) -> None:
        away, collect = Away(Unavailable("the gallery is away"), 3), Collect()

        def handle(messages: Sequence[Text]) -> Iterator[Text]:
            if messages:
                away.check()
            yield from collect(messages)

        world.send(*numbered(3))
        bench = Bench(world, handle)
        bench.step_until(3)
        assert collect.seen == [b"0", b"1", b"2"]
        assert bench.sent(3) == [b"0", b"1", b"2"]
        assert away.calls == 4
        assert "the gallery is away" in bench.told
        assert bench.told[-1] is None
        assert bench.left() == [b"end"]

    def test_outputs_that_cannot_be_sealed_or_confirmed_wait_and_are_not_handled_twice(
        self, world: World
    ) -> None:
        gone = Unavailable("control is away")
        opening, sealing, late = Away(gone, 2), Away(gone, 2), Away(Unconfirmed("not yet"), 2)
        collect = Collect()
        world.send(*numbered(3))
        bench = Bench(
            world,
            collect,
            producer=lambda producer: LateFlush(producer, late),
            wire=lambda world: AwayWire(world, opening, sealing),
        )
        bench.step_until(3)
        assert collect.seen == [b"0", b"1", b"2"]
        assert bench.sent(3) == [b"0", b"1", b"2"]
        assert (opening.calls, sealing.calls, late.calls) == (5, 5, 3)
        assert bench.count("read") == bench.count("produced", world.dead) == 3
        assert bench.left() == [b"end"]

    def test_a_commit_without_an_answer_is_asked_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away, collect = Away(BrokerAway("no answer"), 2), Collect()
        bench = Bench(world, collect)
        commit = bench.consumer.commit

        def late() -> None:
            away.check()
            commit()

        monkeypatch.setattr(bench.consumer, "commit", late)
        world.send(*numbered(2))
        bench.step_until(2)
        assert (collect.seen, away.calls) == ([b"0", b"1"], 3)
        assert bench.left() == [b"end"]

    def test_nothing_is_read_while_something_is_away_and_the_metrics_say_so(self, world: World) -> None:
        world.send(*numbered(1))
        bench = Bench(world, Collect(), wire=lambda world: AwayWire(world, FOREVER, FOREVER))
        bench.step_until_waiting()
        world.send((b"camera-1", b"later"))
        assert [bench.loop.step() for _ in range(3)] == [0, 0, 0]
        assert bench.told[-1] == "away for good"
        assert (bench.gauge("lag_seconds", topic=world.events) or 0) >= 0
        assert bench.left() == [b"0", b"later", b"end"]

    def test_what_stays_away_is_given_up_and_commits_nothing(self, world: World) -> None:
        world.send(*numbered(1))
        bench = Bench(world, Collect(), wire=lambda world: AwayWire(world, FOREVER, FOREVER))
        bench.step_until_waiting()
        bench.clock.advance(LIMITS.give_up_s - 1)
        assert bench.loop.step() == 0
        bench.clock.advance(1)
        with pytest.raises(Unavailable, match="away for good"):
            bench.loop.step()
        assert bench.left() == [b"0", b"end"]

    def test_a_batch_that_moved_while_it_waited_is_dropped_here_and_done_there(self, world: World) -> None:
        collect = Collect()
        away = Away(Unavailable("away"), 1_000_000)

        def handle(messages: Sequence[Text]) -> Iterable[Text]:
            if messages:
                away.check()
            return collect(messages)

        world.send(*((key, key) for key in KEYS))
        bench = Bench(world, handle)
        bench.step_until_waiting()
        with world.member() as joining, Reading(joining) as other:
            until(lambda: [bench.loop.step(), other.records][1])
        there = {record.key for record in other.records}
        away.recover()
        until(lambda: [bench.loop.step(), {*collect.seen, *there} == set(KEYS)][1])
        assert not there & set(collect.seen)
        assert bench.gauge("paused") == 0
        assert bench.left() == [b"end"]

    def test_a_loop_says_that_it_waits_for_partitions_until_it_has_them(self, world: World) -> None:
        bench = Bench(world, Collect())
        until(lambda: [bench.loop.step(), bench.told[-1] is None][1])
        assert set(bench.told) <= {"waiting for partitions", None}
        bench.close()

    def test_a_dead_letter_that_is_not_confirmed_commits_nothing(self, world: World) -> None:
        world.send((b"camera-1", BAD))
        bench = Bench(world, Collect(), producer=FailingFlush)
        with pytest.raises(Undelivered):
            bench.step_until(1)
        assert bench.left() == [BAD, b"end"]

    def test_more_bad_records_than_the_limit_stop_the_loop(self, world: World) -> None:
        world.send(*[(b"camera-1", BAD if number < 6 else b"good") for number in range(10)])
        bench = Bench(world, Collect(), LoopLimits(bad_window=10, bad_share=0.5, flush_timeout_s=PATIENCE_S))
        with pytest.raises(TooManyBad, match="6 of the last 10"):
            bench.step_until(11)
        bench.close()

    def test_bad_records_up_to_the_limit_do_not_stop_it(self, world: World) -> None:
        world.send(*[(b"camera-1", BAD if number < 5 else b"good") for number in range(10)])
        bench = Bench(world, Collect(), LoopLimits(bad_window=10, bad_share=0.5, flush_timeout_s=PATIENCE_S))
        bench.step_until(10)
        assert bench.left() == [b"end"]

    def test_the_handler_is_called_when_nothing_came_and_what_it_returns_is_sent(self, world: World) -> None:
        calls: list[int] = []

        def handle(messages: Sequence[Text]) -> Iterable[Text]:
            calls.append(len(messages))
            return [Text(b"by time")]

        bench = Bench(world, handle)
        assert bench.loop.step() == 0
        assert calls == [0]
        assert bench.sent(1) == [b"by time"]
        bench.close()

    def test_the_tick_comes_before_every_batch(self, world: World) -> None:
        ticks_seen: list[int] = []

        def handle(_: Sequence[Text]) -> Iterable[Text]:
            ticks_seen.append(len(bench.ticks))
            return ()

        bench = Bench(world, handle)
        bench.loop.step()
        bench.loop.step()
        assert ticks_seen == [1, 2]
        bench.close()

    def test_stopping_finishes_the_batch_in_hand(self, world: World) -> None:
        stop, in_hand, go_on = threading.Event(), threading.Event(), threading.Event()

        def handle(messages: Sequence[Text]) -> Iterable[Text]:
            if messages:
                in_hand.set()
                assert go_on.wait(PATIENCE_S)
            return messages

        world.send((b"camera-1", b"1"))
        bench = Bench(world, handle)
        thread = threading.Thread(target=bench.loop.run, args=(stop,))
        thread.start()
        assert in_hand.wait(PATIENCE_S)
        stop.set()
        go_on.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert bench.sent(1) == [b"1"]
        assert bench.left() == [b"end"]

    def test_a_loop_that_fails_leaves_its_group(self, world: World) -> None:
        def crash(_: Sequence[Text]) -> Iterable[Text]:
            raise ZeroDivisionError

        bench = Bench(world, crash)
        with pytest.raises(ZeroDivisionError):
            bench.loop.run(threading.Event())
        world.send((b"camera-1", b"1"))
        with closing(world.broker.consumer(world.group, [world.events])) as other:
            assert values(read(other, 1)) == [b"1"]
