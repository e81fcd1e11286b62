"""One stretch of capture: one decoder under one order, to its end, to the order's end, or to its death."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from overt.contracts.context import Orders
from overt.contracts.orders import Order
from overt.ingest.core import MAX_GAP_S
from overt.ingest.decoder import Decoder, StartDecoder
from overt.ingest.metrics import CameraMetrics
from overt.ingest.outlet import Outlet
from overt.ingest.piped import Counted, Finished, Job, Sampled
from overt.ingest.sending import Sender
from overt.ingest.watch import Watch
from overt.ingest.watchdog import Watchdog
from overt.runtime.clock import Clock

# How soon a new order, the end of one or a stop is seen while no picture comes.
POLL_S = 0.05
# A decoder that notices by itself that its camera is silent knows why: it gets the time to say so.
LAST_WORD_S = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a capture ended, and for how long it gave pictures. `stopped`: by the order or by the process."""

    kind: Literal["end", "stopped", "refused", "lost", "silent", "crashed"]
    reason: str = ""
    gave_s: float = 0.0
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a camera is worked with."""

    orders: Orders
    clock: Clock
    sender: Sender
    metrics: CameraMetrics
    watch: Watch
    new_job: Callable[[int], Job]  # told the number of the next frame
    start: StartDecoder


def watchdog_for(job: Job, *, endless: bool) -> Watchdog:
    """Return the watchdog over a decoder: a recording may pause as long as its own times say."""
    silence_s = job.read_timeout_s + LAST_WORD_S
    if not endless:
        silence_s += max(MAX_GAP_S, 1 / job.rate_hz)
    return Watchdog(opening_s=job.open_timeout_s + silence_s, silence_s=silence_s)


class Capture:
    """Follows one decoder. Belongs to one thread."""

    def __init__(self, camera_id: str, order: Order, job: Job, parts: Parts, *, endless: bool) -> None:
        self._camera_id = camera_id
        self._order = order
        self._job = job
        self._parts = parts
        self._watchdog = watchdog_for(job, endless=endless)
        self._first_s: float | None = None
        self.next_sequence = job.first_sequence

    def run(self, stop: threading.Event) -> Ending:
        """Start the decoder, hand on what it gives, and kill it. Raises BrokerError."""
        parts, gave_s, frames = self._parts, 0.0, 0
        outlet = Outlet(
            parts.sender,
            parts.metrics,
            deployment_id=self._order.deployment_id,
            live=self._job.live,
            begun_ns=parts.clock.now_ns(),
        )
        try:
            decoder = parts.start(self._job)
            parts.metrics.up.set(1)
            try:
                last = self._follow(decoder, outlet, stop)
            finally:
                decoder.kill()
                parts.metrics.up.set(0)
                if self._first_s is not None:
                    gave_s = parts.clock.monotonic_s() - self._first_s
        finally:
            frames = outlet.finish()
        return Ending(last.kind, last.reason, gave_s, frames)

    def _follow(self, decoder: Decoder, outlet: Outlet, stop: threading.Event) -> Ending:
        while not stop.is_set() and not outlet.has_ended:
            begun_s = self._parts.clock.monotonic_s()
            # While nothing may be lost and there is no room, the decoder waits: nobody listens.
            listens = outlet.await_room(POLL_S)
            told = decoder.take(POLL_S) if listens else None
            if not self._is_covered():
                if isinstance(told, Sampled):
                    self._parts.metrics.drop("no_order")
                outlet.revoke()
                return Ending("stopped")
            if isinstance(told, Finished):
                return Ending(told.kind, told.reason)
            if self._hears(told, outlet):
                self._watchdog.heard()
            # Not longer than was meant: a machine that slept took the time from the decoder too.
            elif listens and self._watchdog.waited(min(self._parts.clock.monotonic_s() - begun_s, POLL_S)):
                return Ending("silent", f"{self._job.shown} gave no picture in time, its decoder was killed")
        return Ending("stopped")

    def _hears(self, told: Sampled | Counted | None, outlet: Outlet) -> bool:
        """Take over what the decoder told; whether it says that a picture was decoded."""
        if told is None:
            self._parts.watch.check()
            return False
        if isinstance(told, Counted):
            self._parts.metrics.add(told)
            return told.read > 0
        if self._first_s is None:
            self._first_s = self._parts.clock.monotonic_s()
        self.next_sequence = told.sequence + 1
        outlet.put(told)
        return True

    def _is_covered(self) -> bool:
        """Whether the order still covers the camera: asked after every picture, before it is sent."""
        orders = self._parts.orders
        orders.feed.poll()
        current = orders.book.active(self._order.deployment_id)
        return current is not None and self._camera_id in current.camera_ids
