"""What the detect service counts, declared once with its meaning."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class DetectMetrics:
    """The collectors of one registry. Labels name a camera or a reason, never a track or a person."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.faces = Counter(
            "overt_detect_faces_total",
            "Detections of a face over all frames: one person counts once a frame.",
            ["camera"],
            registry=registry,
        )
        self.tracks = Counter(
            "overt_detect_tracks_total",
            "Faces followed through a camera's view: an estimate of the faces seen there, too high in a crowd "
            "(a face that may have been taken for another one is counted again).",
            ["camera"],
            registry=registry,
        )
        self.shots = Counter(
            "overt_detect_shots_total", "Shots handed on to be embedded.", ["camera"], registry=registry
        )
        self.skipped = Counter(
            "overt_detect_frames_skipped_total",
            "Frames not looked at, by reason: no_order (none active), other_camera (not covered by the "
            "order), other_fingerprint (the order names another model pack), stale (older than the "
            "freshness budget), superseded (a newer one was at hand while behind), repeated (delivered "
            "twice), unreadable (no whole JPEG), between (the camera's zone looks at every n-th).",
            ["camera", "reason"],
            registry=registry,
        )
        self.frame_seconds = Histogram(
            "overt_detect_frame_seconds",
            "Time spent on one frame: decoding, detection, tracking and quality.",
            buckets=(0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5),
            registry=registry,
        )
