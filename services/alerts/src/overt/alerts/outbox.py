"""Events of `alerts.v1`: written with the change they tell of, published in order by the relay."""

import threading
from typing import cast

import msgspec

from overt.alerts.live import Pulse
from overt.alerts.store import Store
from overt.contracts.context import Context
from overt.contracts.events import AnyAlertEvent
from overt.contracts.topics import ALERTS
from overt.contracts.wire import Out, TopicWire

RELAY_BATCH = 100
IDLE_S = 0.5
FLUSH_TIMEOUT_S = 30.0


class Relay:
    """Publishes what the outbox holds, in order, at least once: a row is marked after its delivery."""

    def __init__(self, context: Context, store: Store, pulse: Pulse) -> None:
        self._wire: TopicWire[AnyAlertEvent] = TopicWire(ALERTS, context.keys)
        self._producer = context.broker.producer()
        self._clock = context.clock
        self._store = store
        self._pulse = pulse

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set, then what is left, and disconnect."""
        while not stop.is_set():
            seen = self._pulse.count
            if not self.step():
                self._pulse.wait(seen, IDLE_S)
        while self.step():
            pass
        self._producer.close()

    def step(self) -> int:
        """Publish one batch and return its size. Raises BrokerError: the rows stay unsent."""
        batch = self._store.unsent(RELAY_BATCH)
        for item in batch:
            # The codec checks what leaves the house, so the stored bytes are read back.
            event = cast("AnyAlertEvent", msgspec.json.decode(item.event_json, type=AnyAlertEvent))
            addressed = self._wire.seal(Out(ALERTS, item.alert_id, event))
            self._producer.produce(addressed.topic, addressed.key, addressed.value)
        if batch:
            self._producer.flush(FLUSH_TIMEOUT_S)
            self._store.mark_sent([item.position for item in batch], self._clock.now_ns())
        return len(batch)
