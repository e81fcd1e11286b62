"""Sends the frames of one capture in a thread of its own: a broker that is away holds up nobody else."""

import threading
from concurrent.futures import ThreadPoolExecutor

from overt.ingest.metrics import CameraMetrics
from overt.ingest.piped import Sampled
from overt.ingest.sending import Sender
from overt.ingest.slot import HICCUP, Slot

POLL_S = 0.05


class Outlet:
    """Room for a few frames and the thread that sends them. Everything but that thread belongs to one thread."""

    def __init__(
        self, sender: Sender, metrics: CameraMetrics, *, deployment_id: str, live: bool, begun_ns: int
    ) -> None:
        """Begin. `begun_ns` is the capture time of an end without a frame."""
        self._sender = sender
        self._metrics = metrics
        self._deployment_id = deployment_id
        self._live = live
        self._last_ns = begun_ns
        self._sent = 0
        self._slot: Slot[Sampled] = Slot(newest_wins=live, places=HICCUP)
        self._revoked = threading.Event()
        pool = ThreadPoolExecutor(1, thread_name_prefix="outlet")
        self._sending = pool.submit(self._run)
        pool.shutdown(wait=False)

    @property
    def has_ended(self) -> bool:
        """Whether the thread came back: it failed, `finish` raises why."""
        return self._sending.done()

    def await_room(self, timeout_s: float) -> bool:
        """Whether a frame may be put in now; waits for it only where none may be lost."""
        return self._slot.await_room(timeout_s)

    def put(self, sampled: Sampled) -> None:
        """Hand over a frame; live, one that still waits is dropped for it."""
        if self._slot.put(sampled) is not None:
            self._metrics.drop(self._sender.slow_because)

    def revoke(self) -> None:
        """The order is over: what waits is dropped."""
        self._revoked.set()

    def finish(self) -> int:
        """Send what waits, say that capture ended, and return how many frames went out.

        Waits for Kafka as long as a frame may take. Raises BrokerError.
        """
        self._slot.close()
        self._sending.result()
        return self._sent

    def _run(self) -> None:
        while not self._slot.is_drained:
            sampled = self._slot.take(POLL_S)
            if sampled is None:
                continue
            if self._revoked.is_set():
                self._metrics.drop("no_order")
            elif self._sender.send(sampled, self._deployment_id, live=self._live):
                self._last_ns = sampled.captured_at_ns
                self._sent += 1
        self._sender.end(self._deployment_id, self._last_ns)
