"""What a service is given by whoever starts it: a broker, keys, control's public key, the time, the metrics.

A service's `build(context, settings, …)` is the same over Kafka and in one process; only the context differs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prometheus_client import CollectorRegistry

from overt.contracts.orders import OrderBook
from overt.contracts.topics import DEPLOYMENTS, Topic
from overt.contracts.wire import OrderFeed, Out, TopicWire
from overt.runtime.broker import Broker
from overt.runtime.clock import Clock
from overt.runtime.health import Health
from overt.runtime.keys import KeySource
from overt.runtime.loop import Loop, LoopLimits
from overt.runtime.loop_metrics import LoopCollectors

log = structlog.get_logger()

M = TypeVar("M", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Orders:
    """The order book of one loop and what keeps it up to date."""

    book: OrderBook
    feed: OrderFeed


@dataclass(frozen=True, slots=True)
class Context:
    """The world as a service sees it."""

    broker: Broker
    keys: KeySource
    order_key: Ed25519PublicKey
    clock: Clock
    registry: CollectorRegistry
    loops: LoopCollectors
    health: Health = field(default_factory=Health)

    def orders(self, service: str) -> Orders:
        """Return an order book of the service's own: every service verifies every order itself."""
        book = OrderBook(self.order_key, self.clock.now_s)

        def refused(reason: str) -> None:
            log.error("order refused", service=service, reason=reason)

        reader = self.broker.table(DEPLOYMENTS.name)
        return Orders(book, OrderFeed(reader, book, refused, on_over=self.keys.forget))

    def loop(
        self,
        service: str,
        source: Topic,
        handle: Callable[[Sequence[M]], Iterable[Out]],
        *,
        tick: Callable[[], None],
        limits: LoopLimits = LoopLimits(),
    ) -> Loop[M, Out]:
        """Return the loop of `service` over `source`, in the consumer group named after the service.

        It tells `health` what keeps it from working; at first that it has no partitions yet.
        """
        wire: TopicWire[M] = TopicWire(source, self.keys)

        def tell(problem: str | None) -> None:
            self.health.set(service, problem)

        tell("waiting for partitions")
        return Loop(
            consumer=self.broker.consumer(service, [source.name]),
            producer=self.broker.producer(),
            wire=wire,
            handle=handle,
            metrics=self.loops.for_service(service, self.clock.now_s),
            limits=limits,
            tick=tick,
            tell=tell,
            monotonic_s=self.clock.monotonic_s,
        )
