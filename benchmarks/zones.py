"""Measures what a zone does on a recording: computing a picture, faces found, and what is handed on.

    uv run python -m benchmarks.zones CLIP [--runs 3] [--pictures 105]

The recording's pictures are JPEG as ingest makes them. Each zone sees all of them: decoding, detection, tracking and
quality, without making the shots' pictures, which is the same in all. Computing is processor time on one thread, so
it depends little on what else the machine does. Recall is of the faces that are found in the picture at its own size
and that the zone wants: in its polygon, as large as its smallest.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import av
import numpy as np

from benchmarks.smallest_faces import IOU, iou
from overt.cli.datafolder import default_cache_dir
from overt.cli.models import models_dir
from overt.contracts.messages import FrameCaptured
from overt.detect import jpeg
from overt.detect.finder import FaceFinder, find_together
from overt.detect.settings import DetectOptions
from overt.detect.shown import Shown, is_inside
from overt.detect.view import CameraView
from overt.detect.zones import Zone
from overt.recognition.detections import Detections
from overt.recognition.framing import frontal_eye_distance_px
from overt.recognition.pack import load_pack

JPEG_QUALITY = 85
LOWER = ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0))
ZONES = {
    "no zone (960 px)": Zone(),
    **{f"smallest {px} px": Zone(smallest_eye_distance_px=px) for px in (8, 12, 16, 20, 24, 32)},
    "lower half": Zone(polygon=LOWER),
    "lower half, smallest 16 px": Zone(polygon=LOWER, smallest_eye_distance_px=16),
    "lower half, smallest 24 px": Zone(polygon=LOWER, smallest_eye_distance_px=24),
    **{f"every {nth}": Zone(every_nth=nth) for nth in (2, 3)},
    "lower half, 16 px, every 2": Zone(polygon=LOWER, smallest_eye_distance_px=16, every_nth=2),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one zone came to. ms: processor time a picture of the recording, looked at or not."""

    ms: float
    looked_at: int
    faces: int
    tracks: int
    shots: int
    side_px: int
    found: tuple[tuple[Shown, Detections], ...]


def frames_of(clip: Path, most: int) -> list[FrameCaptured]:
    """Return the pictures as ingest sends them."""
    frames: list[FrameCaptured] = []
    with av.open(str(clip)) as container:
        rate_hz = float(container.streams.video[0].average_rate or 25)
        for number, picture in enumerate(container.decode(video=0)):
            if number == most:
                break
            at_ns = int(number / rate_hz * 1e9)
            frame = FrameCaptured(
                deployment_id="d1",
                camera_id="camera-1",
                sequence=number,
                captured_at_ns=at_ns,
                read_at_ns=at_ns,
                live=False,
                width_px=picture.width,
                height_px=picture.height,
                jpeg=jpeg.encode(
                    picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False), JPEG_QUALITY
                ),
            )
            frames.append(frame)
    return frames


def watch(frames: Sequence[FrameCaptured], zone: Zone, finder: FaceFinder) -> Measured:
    """Follow the faces of a recording within a zone."""
    ids = count()
    view = CameraView(zone, DetectOptions(), lambda: str(next(ids)))
    found: list[tuple[Shown, Detections]] = []
    faces = shots = 0
    begun_s = time.process_time()
    for frame in frames:
        shown = view.show(frame)
        if shown is None:
            shots += len(view.due(frame.captured_at_ns))
            continue
        (seen,) = find_together(finder, [shown])
        look = view.follow(shown, seen)
        faces, shots = faces + look.faces, shots + len(look.ready)
        found.append((shown, seen))
    shots += len(view.end())
    ms = (time.process_time() - begun_s) * 1e3 / len(frames)
    side_px = found[0][0].longest_side_px
    return Measured(ms, len(found), faces, next(ids), shots, side_px, tuple(found))


def recall(measured: Measured, zone: Zone, reference: Sequence[Detections]) -> tuple[int, int]:
    """Return how many of the faces that a zone wants were found in the pictures it looked at, and how many those are."""
    hit = wanted = 0
    for shown, seen in measured.found:
        frame = shown.frame
        faces = reference[frame.sequence]
        boxes_N4 = (
            shown.in_small(seen).scaled(shown.scale).boxes_N4[seen.scores_N >= DetectOptions().shot_score]
        )
        inside_N = is_inside(faces.boxes_N4, zone, (frame.width_px, frame.height_px))
        for box_4, marks_52, inside in zip(faces.boxes_N4, faces.landmarks_N52, inside_N, strict=True):
            if inside and frontal_eye_distance_px(marks_52) >= (zone.smallest_eye_distance_px or 0):
                wanted += 1
                hit += iou(box_4, boxes_N4) >= IOU
    return hit, wanted


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=105)
    parser.add_argument("--zone", nargs="*", default=list(ZONES), help="some of: " + "; ".join(ZONES))
    told = parser.parse_args()
    pack = load_pack("cpu", models_dir(default_cache_dir()), threads=1)
    finder = pack.detector.with_score(DetectOptions().blur_score)
    frames = frames_of(told.clip, told.pictures)
    sure = pack.detector.with_score(DetectOptions().shot_score)
    reference = [
        sure.detect(jpeg.decode(frame.jpeg), longest_side_px=max(frame.width_px, frame.height_px))
        for frame in frames
    ]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, one thread")
    print(f"{told.clip.name}: {len(frames)} pictures of {frames[0].width_px} x {frames[0].height_px}")
    for name in told.zone:
        zone = ZONES[name]
        runs = [watch(frames, zone, finder) for _ in range(told.runs)]
        ms = [run.ms for run in runs]
        one = runs[0]
        hit, wanted = recall(one, zone, reference)
        print(
            f"  {name:<28} seen at {one.side_px:>4} px  {statistics.median(ms):5.1f} ms ({min(ms):.1f} to {max(ms):.1f}),"
            f" {1e3 / statistics.median(ms):5.0f} pictures/s;"
            f" {one.faces / one.looked_at:4.1f} faces a look, {hit / max(wanted, 1):.1%} of {wanted} wanted;"
            f" {one.tracks} tracks, {one.shots} shots",
            flush=True,
        )


if __name__ == "__main__":
    main()
