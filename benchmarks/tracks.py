"""Counts tracks, id switches and fragments on a recording, as the templates of the faces themselves tell them.

    uv run python -m benchmarks.tracks CLIP [CLIP ...] [--every 1 2 3] [--margin 0 0.3]

Every face of every picture that may be searched for gets a template; a live system makes a few a track. No truth is
needed and none is there: whether two looks show one person is told by their similarity.

passes        tracks with at least one look that may be searched for
switched      of the tracks with six such looks or more: those that fall into two parts, three looks or more each,
              whose mean templates are less similar than SAME. The tracker gave one id to two people, or the face was
              seen so badly for a while that nobody could say.
disagree      of the tracks with two shots or more (as `BestShots` sends them): those with two less similar than SAME
fragments     passes beyond the first of what appears to be one person: mean templates at least as similar as ONE
"""

import argparse
import os
import platform
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from overt.cli.datafolder import default_cache_dir
from overt.cli.models import models_dir
from overt.recognition.best_shots import BestShots
from overt.recognition.detections import LONGEST_SIDE_PX, Detections
from overt.recognition.metrics import Rate, proportion
from overt.recognition.pack import Pack, load_pack
from overt.recognition.quality import assess, probe_ok
from overt.recognition.tracker import FaceTracker, TrackerOptions

# What OpenCV's page of SFace takes for one person; different people of the demo reach 0.33.
SAME = 0.363
ONE = 0.5
PART = 3
SHOT_SCORE, BLUR_SCORE = 0.6, 0.3
Template = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """The faces of one picture; of those that may be searched for, quality and template by their number."""

    at_ns: int
    faces: Detections
    looks: dict[int, tuple[int, Template]]


@dataclass(frozen=True, slots=True)
class Counted:
    """What a tracker made of a recording."""

    tracks: int
    passes: int
    switched: Rate | None
    disagree: Rate | None
    fragments: int


def watch(clip: Path, pack: Pack) -> Iterator[Seen]:
    """Yield what is seen in each picture."""
    finder = pack.detector.with_score(BLUR_SCORE)
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            picture_HWC = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
            seconds = number / 25 if frame.time is None else frame.time
            faces = finder.detect(picture_HWC, longest_side_px=LONGEST_SIDE_PX)
            yield Seen(int(seconds * 1e9), faces, _looks(picture_HWC, faces, pack))


def _looks(picture_HWC: NDArray[np.uint8], faces: Detections, pack: Pack) -> dict[int, tuple[int, Template]]:
    good: dict[int, int] = {}
    for index in np.flatnonzero(faces.scores_N >= SHOT_SCORE).tolist():
        quality = assess(picture_HWC, box=faces.boxes_N4[index], landmarks_52=faces.landmarks_N52[index])
        if probe_ok(quality):
            good[index] = quality.score
    if not good:
        return {}
    crops = np.stack([pack.aligner.crop(picture_HWC, faces.landmarks_N52[index]) for index in good])
    templates = pack.embedder.embed(crops)
    return {index: (good[index], row) for index, row in zip(good, templates, strict=True)}


def track(seen: Sequence[Seen], options: TrackerOptions) -> Counted:
    """Follow the faces and count."""
    ids = count()
    tracker, best = FaceTracker(new_id=lambda: str(next(ids)), options=options), BestShots[Template]()
    looks, shots = defaultdict[str, list[Template]](list), defaultdict[str, list[Template]](list)
    for one in seen:
        for index, track_id in enumerate(tracker.update(one.faces, one.at_ns)):
            if track_id is not None and index in one.looks:
                quality, template = one.looks[index]
                looks[track_id].append(template)
                best.offer(track_id, quality, one.at_ns, template)
        for due in best.close(tracker.ended) + best.due(one.at_ns):
            shots[due.track_id].append(due.shot)
    for due in best.flush():
        shots[due.track_id].append(due.shot)
    long = [rows for rows in looks.values() if len(rows) >= 2 * PART]
    several = [rows for rows in shots.values() if len(rows) > 1]
    return Counted(
        tracks=next(ids),
        passes=len(looks),
        switched=_rate([is_two(rows) for rows in long]),
        disagree=_rate([float((np.stack(rows) @ np.stack(rows).T).min()) < SAME for rows in several]),
        fragments=len(looks) - people([_mean(rows) for rows in looks.values()]),
    )


def is_two(rows: Sequence[Template]) -> bool:
    """Tell whether the looks at a track fall into two parts that show different people."""
    cuts = range(PART, len(rows) - PART + 1)
    return min(float(_mean(rows[:cut]) @ _mean(rows[cut:])) for cut in cuts) < SAME


def people(means: Sequence[Template]) -> int:
    """Return how many people these appear to be: each joins the first it resembles."""
    firsts: list[Template] = []
    for mean in means:
        if not any(float(mean @ first) >= ONE for first in firsts):
            firsts.append(mean)
    return len(firsts)


def _mean(rows: Sequence[Template]) -> Template:
    total = np.sum(rows, axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)


def _rate(told: Sequence[bool]) -> Rate | None:
    return proportion(sum(told), len(told)) if told else None


def _in_words(rate: Rate | None) -> str:
    if rate is None:
        return "none to tell"
    return f"{rate.count} of {rate.total} ({rate.lower_95:.0%} to {rate.upper_95:.0%})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 2, 3], help="n-th pictures looked at")
    parser.add_argument("--margin", type=float, nargs="+", default=[TrackerOptions().margin])
    parser.add_argument("--pack", default="cpu")
    told = parser.parse_args()
    pack = load_pack(told.pack, models_dir(default_cache_dir()), threads=1)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {told.pack}")
    for clip in told.clips:
        seen = list(watch(clip, pack))
        looks = sum(len(one.looks) for one in seen)
        print(f"\n{clip.name}: {len(seen)} pictures, {looks} looks that may be searched for")
        for every in told.every:
            for margin in told.margin:
                found = track(seen[::every], replace(TrackerOptions(), margin=margin))
                print(
                    f"  every {every}, margin {margin}: {found.tracks} tracks, {found.passes} passes, "
                    f"{found.fragments} fragments; switched {_in_words(found.switched)}; "
                    f"disagree {_in_words(found.disagree)}"
                )


if __name__ == "__main__":
    main()
