"""Events of `alerts.v1`: written with the change they tell of, published in order by the relay."""

import threading
from contextlib import suppress
from typing import cast

import msgspec

from overt.alerts.live import Pulse
from overt.alerts.patience import AWAY, Patience, Stopped
from overt.alerts.store import Store, Stored
from overt.contracts.context import Context
from overt.contracts.events import AnyAlertEvent
from overt.contracts.topics import ALERTS
from overt.contracts.wire import Out, TopicWire
from overt.runtime.broker import Unconfirmed, Undelivered

RELAY_BATCH = 100
IDLE_S = 0.1  # how late a judgement given in another process is heard of
FLUSH_TIMEOUT_S = 5.0
KEPT_NS = 7 * 86_400 * 10**9  # as long as alerts.v1 keeps it
PRUNE_PAUSE_S = 3600.0


class Relay:
    """Publishes what the outbox holds, in order, at least once: a row is marked after its delivery.

    Any number of processes may run one; the lease lets one of them publish at a time.
    """

    def __init__(self, context: Context, store: Store, pulse: Pulse) -> None:
        self._wire: TopicWire[AnyAlertEvent] = TopicWire(ALERTS, context.keys)
        self._producer = context.broker.producer()
        self._clock = context.clock
        self._store = store
        self._pulse = pulse
        self._patience = Patience("alerts.v1", context.health, context.clock)
        self._next_prune_s = 0.0
        self._in_flight: list[Stored] = []

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set, then what is left, and disconnect."""
        with suppress(Stopped):
            while not stop.is_set():
                seen = self._pulse.count
                if not self._patience.until_done(self.step, stop):
                    self._pulse.wait(seen, IDLE_S)
        # With Kafka or the database away the rows stay unsent, for whoever publishes next.
        with suppress(*AWAY):
            while self.step():
                pass
        with suppress(*AWAY):
            self._producer.close()

    def step(self) -> int:
        """Publish one batch and return its size; 0 when another process is publishing.

        Raises BrokerError, DatabaseAway: the rows stay unsent.
        """
        self._prune()
        if not self._store.unsent(1):
            return 0
        with self._store.relay_lease() as held:
            return self._publish() if held else 0

    def _publish(self) -> int:
        # What was not confirmed is on its way: it is flushed again, not produced again.
        if not self._in_flight:
            batch = self._store.unsent(RELAY_BATCH)
            for item in batch:
                self._produce(item)
            self._in_flight = batch
        try:
            self._producer.flush(FLUSH_TIMEOUT_S)
        except Undelivered as error:
            if not isinstance(error, Unconfirmed):
                self._in_flight = []
            raise
        batch, self._in_flight = self._in_flight, []
        self._store.mark_sent([item.position for item in batch], self._clock.now_ns())
        return len(batch)

    def _produce(self, item: Stored) -> None:
        # The codec checks what leaves the house, so the stored bytes are read back.
        event = cast("AnyAlertEvent", msgspec.json.decode(item.event_json, type=AnyAlertEvent))
        addressed = self._wire.seal(Out(ALERTS, item.alert_id, event))
        self._producer.produce(addressed.topic, addressed.key, addressed.value)

    def _prune(self) -> None:
        """Forget now and then what was delivered long ago."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_prune_s:
            self._store.forget_sent(self._clock.now_ns() - KEPT_NS)
            self._next_prune_s = now_s + PRUNE_PAUSE_S
