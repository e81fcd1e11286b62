"""Keeps track of how old a camera's last frame is, for health and metrics."""

from overt.ingest.metrics import CameraMetrics
from overt.runtime.clock import Clock
from overt.runtime.health import Health

# A live camera that gives nothing for so long is a problem, even while it is still connected.
STALE_S = 5.0


class Watch:
    """Watches one camera.

    `frame_sent` and `undelivered` belong to the thread that sends, the rest to the one that runs the camera;
    the age may be asked from any.
    """

    def __init__(self, camera_id: str, clock: Clock, *, health: Health, metrics: CameraMetrics) -> None:
        self._part = f"camera {camera_id}"
        self._clock = clock
        self._health = health
        self._begun_s = clock.monotonic_s()
        self._last_s: float | None = None
        self._undelivered: str | None = None
        metrics.watch_age(self.age_s)

    def age_s(self) -> float:
        """Return the seconds since the last frame; not a number before the first."""
        last_s = self._last_s
        return float("nan") if last_s is None else self._clock.monotonic_s() - last_s

    def capture_begins(self) -> None:
        """An order covers the camera from now on."""
        self._begun_s = self._clock.monotonic_s()

    def frame_sent(self) -> None:
        """A frame went out."""
        self._last_s = self._clock.monotonic_s()
        self._undelivered = None
        self._health.set(self._part, None)

    def undelivered(self, problem: str) -> None:
        """A frame did not go out because Kafka or control is away."""
        self._undelivered = problem
        self._health.set(self._part, problem)

    def check(self) -> None:
        """Report a camera that ought to give frames and does not."""
        since_s = self._begun_s if self._last_s is None else max(self._begun_s, self._last_s)
        silent_s = self._clock.monotonic_s() - since_s
        if silent_s > STALE_S:
            self._health.set(self._part, self._undelivered or f"no frame for more than {STALE_S:g} s")

    def lost(self, problem: str) -> None:
        """The camera went away."""
        self._health.set(self._part, problem)

    def capture_ends(self) -> None:
        """No frame is expected now: that is no problem."""
        self._health.set(self._part, None)
