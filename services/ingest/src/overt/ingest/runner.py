"""Runs one camera: waits for an order, captures under it, ends with it, and opens a lost camera again."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog

from overt.contracts.context import Orders
from overt.contracts.orders import Order
from overt.ingest.errors import SourceError
from overt.ingest.gate import why_closed
from overt.ingest.metrics import CameraMetrics
from overt.ingest.reading import Reader, Taken
from overt.ingest.sending import Sender
from overt.ingest.source import Source
from overt.ingest.watch import Watch
from overt.runtime.clock import Clock

log = structlog.get_logger()

# How soon a new order, the end of one or a stop is seen while no picture comes.
POLL_S = 0.05
# How long the decoder may take to let go. A silent camera keeps it until the read timeout: it decodes
# nothing meanwhile, and nobody takes what it holds.
LET_GO_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a runner works with."""

    orders: Orders
    clock: Clock
    sender: Sender
    metrics: CameraMetrics
    watch: Watch
    new_reader: Callable[[], Reader]


class CameraRunner:
    """The runner of one camera; `over` is called once when it has come to its end."""

    def __init__(
        self, camera_id: str, source: Source, *, live: bool, parts: Parts, over: Callable[[], None]
    ) -> None:
        self._camera_id = camera_id
        self._source = source
        self._live = live
        self._parts = parts
        self._over = over
        self._log = log.bind(service="ingest", camera=camera_id, source=source.shown)
        self._said = ""

    def run(self, stop: threading.Event) -> None:
        """Capture until `stop` is set or a recording is over. Raises SourceRefused, BrokerError."""
        try:
            self._run(stop)
        finally:
            try:
                self._parts.sender.close()
            finally:
                self._over()

    def _run(self, stop: threading.Event) -> None:
        pause_s = FIRST_PAUSE_S
        while (order := self._await_order(stop)) is not None:
            sent, problem = self._capture(order, stop)
            if not self._source.is_endless:
                if problem is not None:
                    raise problem
                return
            if problem is not None:
                pause_s = FIRST_PAUSE_S if sent else pause_s
                self._log.warning("camera lost, trying again", reason=str(problem), pause_s=pause_s)
                self._parts.watch.lost(str(problem))
                self._parts.metrics.reopened.inc()
                stop.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _await_order(self, stop: threading.Event) -> Order | None:
        """Return the order that covers the camera, as soon as there is one; None when stopped."""
        parts = self._parts
        while not stop.is_set():
            parts.orders.feed.poll()
            order = parts.orders.book.for_camera(self._camera_id)
            if order is not None:
                return order
            parts.watch.capture_ends()
            known = parts.orders.book.known().values()
            self._say_once(why_closed(known, self._camera_id, parts.clock.now_s()))
            stop.wait(POLL_S)
        return None

    def _say_once(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            self._log.info("nothing is captured", reason=reason)

    def _capture(self, order: Order, stop: threading.Event) -> tuple[int, SourceError | None]:
        """Capture under `order`; return how many frames went out and what was wrong with the source."""
        parts, reader = self._parts, self._parts.new_reader()
        self._said = ""
        self._log.info("capture begins", deployment=order.deployment_id)
        parts.watch.capture_begins()
        pool = ThreadPoolExecutor(1, thread_name_prefix=f"{self._camera_id}.decoder")
        reading = pool.submit(reader.run)
        captured_at_ns, sent = parts.clock.now_ns(), 0
        try:
            while not stop.is_set() and not reader.slot.is_drained:
                taken = reader.slot.take(POLL_S)
                if not self._may_go_on(order, taken):
                    break
                if taken is not None and parts.sender.send(taken, order.deployment_id, live=self._live):
                    captured_at_ns, sent = taken.captured_at_ns, sent + 1
                    parts.watch.frame_sent()
        finally:
            reader.halt()
            pool.shutdown(wait=False)
        parts.sender.end(order.deployment_id, captured_at_ns)
        self._log.info("capture ended", deployment=order.deployment_id, frames=sent)
        return sent, self._problem(reading)

    def _may_go_on(self, order: Order, taken: Taken | None) -> bool:
        """Whether the order still covers the camera: asked after every picture, before it is encoded."""
        parts = self._parts
        parts.orders.feed.poll()
        current = parts.orders.book.active(order.deployment_id)
        if current is not None and self._camera_id in current.camera_ids:
            if taken is None:
                parts.watch.check()
            return True
        if taken is not None:
            parts.metrics.drop("no_order")
        return False

    def _problem(self, reading: Future[None]) -> SourceError | None:
        done, _ = wait([reading], LET_GO_S)
        if not done:
            self._log.warning("the decoder has not let go of the camera yet")
            return None
        error = reading.exception()
        if error is not None and not isinstance(error, SourceError):
            raise error
        return error
