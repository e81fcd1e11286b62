"""The way out of one camera: seals frames and produces them to `frames.v1`, and counts those it loses."""

import structlog

from overt.contracts.messages import CaptureEnded, FrameCaptured
from overt.contracts.topics import FRAMES
from overt.contracts.wire import Out, TopicWire
from overt.ingest.metrics import CameraMetrics
from overt.ingest.piped import Sampled
from overt.ingest.watch import Watch
from overt.runtime.broker import Producer, Undelivered
from overt.runtime.keys import KeyGone
from overt.runtime.keys_http import KeysUnavailable

# Frames are confirmed one by one: at most one is on its way, so what waits is the newest. Longer than the
# producer's own limit, which decides whether a record is lost.
FLUSH_TIMEOUT_S = 10.0


class Sender:
    """Produces the frames of one camera. Not safe to share between threads, but for `slow_because`.

    A frame that can't go out because Kafka or control is away is lost: the next one is fresher.
    """

    def __init__(
        self,
        camera_id: str,
        wire: TopicWire[FrameCaptured],
        producer: Producer,
        *,
        metrics: CameraMetrics,
        watch: Watch,
    ) -> None:
        self._camera_id = camera_id
        self._wire = wire
        self._producer = producer
        self._metrics = metrics
        self._watch = watch
        self._log = structlog.get_logger().bind(service="ingest", camera=camera_id)
        self._away: str | None = None

    @property
    def slow_because(self) -> str:
        """The reason by which a frame is counted that waited for an earlier one in vain."""
        return self._away or "superseded"

    def send(self, sampled: Sampled, deployment_id: str, *, live: bool) -> bool:
        """Produce one picture; whether it went out. Raises BrokerError when Kafka's client gave up."""
        try:
            frame = FrameCaptured(
                deployment_id=deployment_id,
                camera_id=self._camera_id,
                sequence=sampled.sequence,
                captured_at_ns=sampled.captured_at_ns,
                read_at_ns=sampled.read_at_ns,
                live=live,
                width_px=sampled.width_px,
                height_px=sampled.height_px,
                jpeg=sampled.jpeg,
            )
        except ValueError:
            self._metrics.drop("corrupt")
            return False
        lost = self._produce(frame)
        if lost is not None:
            self._metrics.drop(lost)
            return False
        self._metrics.sent.inc()
        self._metrics.encode_seconds.observe(sampled.encode_s)
        self._watch.frame_sent()
        return True

    def end(self, deployment_id: str, captured_at_ns: int) -> None:
        """Say that nothing more comes under this order, unless its keys are destroyed already."""
        self._produce(CaptureEnded(deployment_id, self._camera_id, captured_at_ns))

    def close(self) -> None:
        """Disconnect."""
        self._producer.close()

    def _produce(self, message: FrameCaptured | CaptureEnded) -> str | None:
        """Return why it was lost, None when it went out."""
        try:
            addressed = self._wire.seal(Out(FRAMES, self._camera_id, message))
            self._producer.produce(addressed.topic, addressed.key, addressed.value)
            self._producer.flush(FLUSH_TIMEOUT_S)
        except KeyGone:
            return "key_gone"
        except KeysUnavailable as error:
            return self._is_away("key_unavailable", str(error))
        except Undelivered as error:
            return self._is_away("undelivered", str(error))
        if self._away is not None:
            self._away = None
            self._log.info("frames go out again")
        return None

    def _is_away(self, reason: str, problem: str) -> str:
        if self._away != reason:
            self._log.warning("frames are lost", reason=problem)
        self._away = reason
        self._watch.undelivered(f"frames are lost: {problem}")
        return reason
