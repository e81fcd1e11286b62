"""What a service is given: a loop that opens, seals and parks, and orders that are up to date before each batch."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import CaptureEnded
from overt.contracts.orders import Order, sign
from overt.contracts.topics import ALERTS, DEPLOYMENTS, FRAMES
from overt.contracts.wire import Out, TopicWire, memory_topics
from overt.runtime.clock import ManualClock
from overt.runtime.keys import KeyRing
from overt.runtime.loop import LoopLimits, Unavailable
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker

NOW_S = 1_700_000_000.0
AT_ONCE = LoopLimits(poll_timeout_s=0.0)


@pytest.fixture
def context(key: Ed25519PrivateKey) -> Context:
    clock, registry = ManualClock(NOW_S), CollectorRegistry()
    keys = KeyRing(clock)
    keys.open("dep-1")
    return Context(
        broker=MemoryBroker(memory_topics(), clock),
        keys=keys,
        order_key=key.public_key(),
        clock=clock,
        registry=registry,
        loops=LoopCollectors(registry),
    )


def send(context: Context, message: CaptureEnded) -> None:
    wire: TopicWire[CaptureEnded] = TopicWire(FRAMES, context.keys)
    addressed = wire.seal(Out(FRAMES, message.camera_id, message))
    context.broker.producer().produce(addressed.topic, addressed.key, addressed.value)


def publish(context: Context, key: Ed25519PrivateKey, order: Order) -> None:
    value = encode(DEPLOYMENTS, sign(order, key))
    context.broker.producer().produce(DEPLOYMENTS.name, order.deployment_id.encode(), value)


def test_a_handler_sees_an_order_that_came_before_its_batch(
    context: Context, key: Ed25519PrivateKey, ended: CaptureEnded, make_order: Callable[..., Order]
) -> None:
    orders = context.orders("detect")
    lawful: list[bool] = []

    def handle(messages: Sequence[CaptureEnded]) -> Iterator[Out]:
        lawful.extend(orders.book.active(message.deployment_id) is not None for message in messages)
        return iter(())

    loop = context.loop("detect", FRAMES, handle, tick=orders.feed.poll, limits=AT_ONCE)
    send(context, ended)
    loop.step()
    publish(context, key, make_order())
    send(context, ended)
    loop.step()
    publish(context, key, make_order(revision=2, state="stopped"))
    send(context, ended)
    loop.step()
    assert lawful == [False, True, False]


def test_a_refused_order_is_logged_with_its_reason(
    context: Context, make_order: Callable[..., Order]
) -> None:
    publish(context, Ed25519PrivateKey.generate(), make_order())
    with structlog.testing.capture_logs() as logs:
        context.orders("match").feed.poll()
    refused = {
        "event": "order refused",
        "service": "match",
        "reason": "the signature is not control's",
        "log_level": "error",
    }
    assert logs == [refused]


def test_each_service_keeps_a_book_of_its_own(
    context: Context, key: Ed25519PrivateKey, make_order: Callable[..., Order]
) -> None:
    publish(context, key, make_order())
    one, other = context.orders("detect"), context.orders("match")
    one.feed.poll()
    assert one.book.active("dep-1") is not None
    assert other.book.active("dep-1") is None
    other.feed.poll()
    assert other.book.active("dep-1") is not None


def test_a_loop_tells_the_process_health_what_keeps_it_from_working(context: Context) -> None:
    missing = [Unavailable("the gallery is away")]

    def handle(messages: Sequence[CaptureEnded]) -> Iterator[Out]:
        if missing:
            raise missing[0]
        return iter(())

    loop = context.loop("match", FRAMES, handle, tick=lambda: None, limits=AT_ONCE)
    assert context.health.problems() == {"match": "waiting for partitions"}
    loop.step()
    assert context.health.problems() == {"match": "the gallery is away"}
    missing.clear()
    loop.step()
    assert context.health.problems() == {}


def test_a_loop_parks_what_it_cannot_read_and_goes_on(context: Context, ended: CaptureEnded) -> None:
    context.broker.producer().produce(FRAMES.name, b"north", b"\xff\xd8\xff a face in the clear")
    send(context, ended)
    seen: list[CaptureEnded] = []

    def handle(messages: Sequence[CaptureEnded]) -> list[Out]:
        seen.extend(messages)
        return []

    loop = context.loop("detect", FRAMES, handle, tick=lambda: None, limits=AT_ONCE)
    while loop.step():
        pass
    assert seen == [ended]
    assert isinstance(context.broker, MemoryBroker)
    parked = context.broker.held_records(FRAMES.dead)
    assert len(parked) == 1
    assert b"face in the clear" not in (parked[0].value or b"")
    assert (
        context.registry.get_sample_value(
            "overt_loop_records_total", {"service": "detect", "topic": FRAMES.name, "outcome": "dead"}
        )
        == 1
    )
    assert context.broker.held_records(ALERTS.dead) == []
