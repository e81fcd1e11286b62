"""The sender's side of one camera: checks the order, encodes, seals and produces to `frames.v1`."""

from overt.contracts.messages import CaptureEnded, FrameCaptured
from overt.contracts.pictures import MAX_JPEG_BYTES
from overt.contracts.topics import FRAMES
from overt.contracts.wire import Out, TopicWire
from overt.ingest.jpeg import JpegEncoder
from overt.ingest.metrics import CameraMetrics
from overt.ingest.reading import Taken
from overt.runtime.broker import Producer
from overt.runtime.keys import KeyGone

# Frames are confirmed one by one: at most one is on its way, so what waits is the newest.
FLUSH_TIMEOUT_S = 10.0


class Sender:
    """Produces the frames of one camera. Not safe to share between threads."""

    def __init__(
        self,
        camera_id: str,
        wire: TopicWire[FrameCaptured],
        producer: Producer,
        *,
        encoder: JpegEncoder,
        metrics: CameraMetrics,
    ) -> None:
        self._camera_id = camera_id
        self._wire = wire
        self._producer = producer
        self._encoder = encoder
        self._metrics = metrics

    def send(self, taken: Taken, deployment_id: str, *, live: bool) -> bool:
        """Encode and produce one picture; whether it went out. Raises Undelivered."""
        with self._metrics.encode_seconds.time():
            jpeg, width_px, height_px = self._encoder.encode(taken.frame)
        if len(jpeg) > MAX_JPEG_BYTES:
            self._metrics.drop("oversize")
            return False
        frame = FrameCaptured(
            deployment_id=deployment_id,
            camera_id=self._camera_id,
            sequence=taken.sequence,
            captured_at_ns=taken.captured_at_ns,
            read_at_ns=taken.read_at_ns,
            live=live,
            width_px=width_px,
            height_px=height_px,
            jpeg=jpeg,
        )
        if not self._produce(frame):
            self._metrics.drop("key_gone")
            return False
        self._metrics.sent.inc()
        return True

    def end(self, deployment_id: str, captured_at_ns: int) -> None:
        """Say that nothing more comes under this order, unless its keys are destroyed already."""
        self._produce(CaptureEnded(deployment_id, self._camera_id, captured_at_ns))

    def close(self) -> None:
        """Disconnect."""
        self._producer.close()

    def _produce(self, message: FrameCaptured | CaptureEnded) -> bool:
        try:
            addressed = self._wire.seal(Out(FRAMES, self._camera_id, message))
        except KeyGone:
            return False
        self._producer.produce(addressed.topic, addressed.key, addressed.value)
        self._producer.flush(FLUSH_TIMEOUT_S)
        return True
