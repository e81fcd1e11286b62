"""What ingest counts, declared once with its meaning."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from overt.ingest.piped import Counted

DROPS = (
    "superseded",
    "late",
    "corrupt",
    "oversize",
    "no_order",
    "key_gone",
    "key_unavailable",
    "undelivered",
)
RESTARTS = ("lost", "refused", "silent", "crashed")


class IngestMetrics:
    """The collectors of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.read = Counter(
            "overt_ingest_frames_read_total", "Pictures decoded.", ["camera"], registry=registry
        )
        self.sampled_out = Counter(
            "overt_ingest_frames_sampled_out_total",
            "Pictures passed over because the camera is faster than the target rate.",
            ["camera"],
            registry=registry,
        )
        self.dropped = Counter(
            "overt_ingest_frames_dropped_total",
            "Pictures lost, by reason: superseded (a newer one came first, the pipeline is slower than the "
            "camera), late (decoding fell behind the clip), corrupt, oversize, no_order (the order ended), "
            "key_gone (the deployment was closed), key_unavailable (control was away), undelivered (Kafka "
            "was away).",
            ["camera", "reason"],
            registry=registry,
        )
        self.sent = Counter(
            "overt_ingest_frames_sent_total", "Frames produced.", ["camera"], registry=registry
        )
        self.restarts = Counter(
            "overt_ingest_decoder_restarts_total",
            "Times a camera's decoder was started again, by reason: lost (the camera went away), refused (it "
            "sends nothing that can be decoded), silent (no picture in time: killed), crashed.",
            ["camera", "reason"],
            registry=registry,
        )
        self.up = Gauge(
            "overt_ingest_decoder_up",
            "Whether the process that decodes the camera runs: 1, else 0.",
            ["camera"],
            registry=registry,
        )
        self.encode_seconds = Histogram(
            "overt_ingest_encode_seconds",
            "Time to encode one picture.",
            ["camera"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
            registry=registry,
        )
        self.age = Gauge(
            "overt_ingest_last_frame_age_seconds",
            "Time since the last frame was produced; not a number before the first.",
            ["camera"],
            registry=registry,
        )

    def for_camera(self, camera_id: str) -> "CameraMetrics":
        """Return the view of one camera; everything it counts exists from now on, as zero."""
        return CameraMetrics(self, camera_id)


class CameraMetrics:
    """What one camera's threads write to."""

    def __init__(self, metrics: IngestMetrics, camera_id: str) -> None:
        self._dropped = {reason: metrics.dropped.labels(camera_id, reason) for reason in DROPS}
        self._restarts = {reason: metrics.restarts.labels(camera_id, reason) for reason in RESTARTS}
        self._read = metrics.read.labels(camera_id)
        self._sampled_out = metrics.sampled_out.labels(camera_id)
        self._age = metrics.age.labels(camera_id)
        self.sent = metrics.sent.labels(camera_id)
        self.up = metrics.up.labels(camera_id)
        self.encode_seconds = metrics.encode_seconds.labels(camera_id)

    def add(self, counted: Counted) -> None:
        """Take over what a decoder counted."""
        self._read.inc(counted.read)
        self._sampled_out.inc(counted.sampled_out)
        for reason, number in counted.dropped.items():
            self._dropped[reason].inc(number)

    def drop(self, reason: str) -> None:
        """Count one picture that was lost. `reason` is one of DROPS."""
        self._dropped[reason].inc()

    def restart(self, reason: str) -> None:
        """Count one decoder that is started again. `reason` is one of RESTARTS."""
        self._restarts[reason].inc()

    def watch_age(self, age_s: Callable[[], float]) -> None:
        """Ask `age_s` whenever the age of the last frame is wanted."""
        self._age.set_function(age_s)
