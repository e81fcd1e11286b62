"""What a run came to, read from the metrics and the alerts: one line of JSON, or a few for people."""

import math
from collections.abc import Sequence

import msgspec
from prometheus_client import CollectorRegistry


class AlertSummary(msgspec.Struct, frozen=True):
    """One alert. `similarity` is a score; it is no probability. `latency_ms`: picture read to alert stored."""

    entry: str
    camera: str
    similarity: float
    threshold: float
    latency_ms: float


class Summary(msgspec.Struct, frozen=True):
    """One run. `faces_seen` counts detections over all pictures, `tracks` the passes they belong to.

    `frames_dropped` counts every picture that nobody looked at, wherever the pipeline let go of it.
    `complete`: with `--once`, every recording was seen to its end.
    """

    frames_read: int
    frames_dropped: int
    faces_seen: int
    tracks: int
    templates: int
    alerts: tuple[AlertSummary, ...]
    seconds: float
    complete: bool = False


# At the camera, and at the detector for pictures that were no longer fresh when their turn came.
DROPPED = ("overt_ingest_frames_dropped_total", "overt_detect_frames_skipped_total")
# Passed over because the camera's zone says so: nothing was lost.
ON_PURPOSE = "between"


def total(registry: CollectorRegistry, name: str) -> int:
    """Return the sum of the counter `name` over all its labels but the reason ON_PURPOSE."""
    samples = (sample for family in registry.collect() for sample in family.samples)
    return round(
        sum(
            sample.value
            for sample in samples
            if sample.name == name and sample.labels.get("reason") != ON_PURPOSE
        )
    )


def summarise(registry: CollectorRegistry, alerts: Sequence[AlertSummary], seconds: float) -> Summary:
    """Read the counters of a finished run."""
    return Summary(
        frames_read=total(registry, "overt_ingest_frames_read_total"),
        frames_dropped=sum(total(registry, name) for name in DROPPED),
        faces_seen=total(registry, "overt_detect_faces_total"),
        tracks=total(registry, "overt_detect_tracks_total"),
        templates=total(registry, "overt_embed_templates_total"),
        alerts=tuple(alerts),
        seconds=round(seconds, 3),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def in_words(summary: Summary) -> str:
    """Return the summary for people."""
    numbers = (
        f"{summary.frames_read} pictures read in {summary.seconds:.1f} s, {summary.frames_dropped} dropped; "
        f"{summary.faces_seen} faces seen on {summary.tracks} passes; {summary.templates} templates made "
        f"and dropped; {len(summary.alerts)} alert(s)."
    )
    lines = [numbers]
    lines += [
        f"  {alert.entry} at {alert.camera}: similarity {alert.similarity:.3f} (a score, threshold "
        f"{alert.threshold:.3f}), {alert.latency_ms:.0f} ms from picture to alert"
        for alert in summary.alerts
    ]
    if summary.alerts:
        p95_ms = percentile([alert.latency_ms for alert in summary.alerts], 0.95)
        lines.append(f"picture-to-alert p95 over these alerts: {p95_ms:.0f} ms")
    return "\n".join(lines)
