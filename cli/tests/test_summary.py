from prometheus_client import CollectorRegistry, Counter

from overt.cli.calibration import evidence_for, in_words
from overt.cli.summary import AlertSummary, percentile, summarise, total
from overt.cli.summary import in_words as summary_in_words
from overt.recognition.pack import pack_info

CPU_CALIBRATION = pack_info("cpu").calibration


def test_counters_are_summed_over_their_labels() -> None:
    registry = CollectorRegistry()
    counter = Counter("overt_ingest_frames_read_total", "Read.", ["camera"], registry=registry)
    counter.labels("one").inc(3)
    counter.labels("two").inc(4)
    assert total(registry, "overt_ingest_frames_read_total") == 7
    assert total(registry, "overt_ingest_frames_dropped_total") == 0


def test_every_figure_of_the_summary_is_a_metric_of_the_services() -> None:
    registry = CollectorRegistry()
    names = (
        *("overt_ingest_frames_read_total", "overt_ingest_frames_dropped_total", "overt_detect_faces_total"),
        *("overt_detect_tracks_total", "overt_embed_templates_total", "overt_detect_frames_skipped_total"),
    )
    for value, name in enumerate(names, start=1):
        Counter(name, "One.", registry=registry).inc(value)
    summary = summarise(registry, [], 1.5)
    assert (summary.frames_read, summary.frames_dropped, summary.faces_seen) == (1, 2 + 6, 3)
    assert (summary.tracks, summary.templates, summary.seconds) == (4, 5, 1.5)


def test_the_percentile_is_the_nearest_rank() -> None:
    assert percentile([5.0], 0.95) == 5.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0


def test_a_score_is_said_to_be_a_score_beside_its_threshold() -> None:
    alert = AlertSummary(entry="e", camera="c", similarity=0.8, threshold=0.55, latency_ms=90.0)
    words = summary_in_words(summarise(CollectorRegistry(), [alert], 1.0))
    assert "similarity 0.800 (a score, threshold 0.550)" in words
    assert "%" not in words


def test_the_evidence_shown_is_never_of_a_higher_threshold_or_of_none() -> None:
    point = evidence_for(CPU_CALIBRATION, 0.57)
    assert point is not None
    assert point.threshold == 0.55
    assert evidence_for(CPU_CALIBRATION, 0.1) is None
    assert "no false-positive identification rate" in in_words(CPU_CALIBRATION, 0.1)
    assert "false-positive identification rate 0.050%" in in_words(CPU_CALIBRATION, 0.55)


def test_pictures_that_a_zone_passes_over_are_not_dropped() -> None:
    registry = CollectorRegistry()
    skipped = Counter(
        "overt_detect_frames_skipped_total", "for the test", ["camera", "reason"], registry=registry
    )
    skipped.labels("camera-1", "between").inc(7)
    skipped.labels("camera-1", "stale").inc(2)
    assert summarise(registry, [], 1.0).frames_dropped == 2
