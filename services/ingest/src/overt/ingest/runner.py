"""Runs one camera: waits for an order, captures under it, ends with it, and starts a dead decoder again."""

import threading
from collections.abc import Callable

import structlog

from overt.contracts.orders import Order
from overt.ingest.backoff import Backoff
from overt.ingest.capture import POLL_S, Capture, Ending, Parts
from overt.ingest.errors import DecoderFailed, SourceError, SourceRefused
from overt.ingest.gate import why_closed
from overt.ingest.source import Source

log = structlog.get_logger()


class CameraRunner:
    """The runner of one camera; `over` is called once when it has come to its end."""

    def __init__(
        self, camera_id: str, source: Source, *, parts: Parts, backoff: Backoff, over: Callable[[], None]
    ) -> None:
        self._camera_id = camera_id
        self._source = source
        self._parts = parts
        self._backoff = backoff
        self._over = over
        self._log = log.bind(service="ingest", camera=camera_id, source=source.shown)
        self._said = ""
        self._next_sequence = 0

    def run(self, stop: threading.Event) -> None:
        """Capture until `stop` is set or a recording is over.

        Raises SourceRefused and DecoderFailed for a recording, BrokerError.
        """
        try:
            self._run(stop)
        finally:
            try:
                self._parts.sender.close()
            finally:
                self._over()

    def _run(self, stop: threading.Event) -> None:
        while (order := self._await_order(stop)) is not None:
            ending = self._capture(order, stop)
            if not self._source.is_endless:
                problem = _problem(ending)
                if problem is not None:
                    raise problem
                return
            if ending.kind != "stopped":
                self._pause(ending, stop)

    def _pause(self, ending: Ending, stop: threading.Event) -> None:
        pause_s = self._backoff.pause_s(ending.gave_s)
        self._log.warning(
            "camera lost, trying again", why=ending.kind, reason=ending.reason, pause_s=round(pause_s, 2)
        )
        self._parts.watch.lost(ending.reason)
        self._parts.metrics.restart(ending.kind)
        stop.wait(pause_s)

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

    def _capture(self, order: Order, stop: threading.Event) -> Ending:
        self._said = ""
        self._log.info("capture begins", deployment=order.deployment_id)
        self._parts.watch.capture_begins()
        job = self._parts.new_job(self._next_sequence)
        capture = Capture(self._camera_id, order, job, self._parts, endless=self._source.is_endless)
        ending = capture.run(stop)
        self._next_sequence = capture.next_sequence
        self._log.info("capture ended", deployment=order.deployment_id, frames=ending.frames)
        return ending


def _problem(ending: Ending) -> SourceError | None:
    """Return what was wrong with a recording, None when it or its order just ended."""
    if ending.kind in ("end", "stopped"):
        return None
    return SourceRefused(ending.reason) if ending.kind == "refused" else DecoderFailed(ending.reason)
