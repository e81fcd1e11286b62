"""Says how many different people each contender of crowd.py found, by one rule for all of them.

Nobody labelled the clip, so the people in it are pooled from what all contenders found together:
1. Faces of one frame that overlap (IoU 0.4) are one face, whoever found it.
2. Pooled faces are linked through the frames (the `cpu` pack's tracker), and each track gets a template: the
   mean of SFace over its five largest looks, cut by whatever landmarks the finder gave.
3. Tracks whose similarity is at least 0.363, OpenCV's verification threshold for SFace, are one person, the most
   similar first, unless two of them are in one frame.
A person is *found* by whoever has a face of them in at least three frames. Who alone finds something that is no
face gains a person by it; so those that at least two contenders found are counted apart. Somebody who is glimpsed
for three frames is found or not by chance: the same count with higher limits is given beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.crowd_result import Row
from overt.recognition.align import align_crop
from overt.recognition.detections import Detections
from overt.recognition.embedder import FaceEmbedder, unit_rows
from overt.recognition.tracker import FaceTracker

SAME_FACE_IOU = 0.4
SAME_PERSON = 0.363
LOOKS = 5
SEEN_FRAMES = 3
HIGHER_LIMITS = (5, 12)

Runs = Mapping[str, Sequence[Sequence[Row]]]


@dataclass(slots=True)
class Pooled:
    """One face of one frame: a row of the first that found it, and for each finder whether it was embedded."""

    row: Row
    by: dict[str, bool]


@dataclass(slots=True)
class Person:
    """Somebody in the clip: frames of theirs, and in how many frames each contender found or embedded them."""

    frames: set[int] = field(default_factory=set)
    found: dict[str, int] = field(default_factory=dict)
    embedded: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class People:
    """What one contender came to; `found_in_more`: how many people in at least so many frames."""

    found: int
    found_by_others_too: int
    embedded: int
    found_in_more: dict[int, int]


def iou(a: Row, b: Row) -> float:
    """Return the intersection over union of two rows' boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    shared: float = common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)
    return shared


def pool(runs: Runs) -> list[list[Pooled]]:
    """Return the faces of each frame, each once."""
    frames: list[list[Pooled]] = [[] for _ in next(iter(runs.values()))]
    for name, found in runs.items():
        for faces, rows in zip(frames, found, strict=True):
            for row in rows:
                best = max(faces, key=lambda face: iou(face.row, row), default=None)
                if best is None or iou(best.row, row) < SAME_FACE_IOU or name in best.by:
                    faces.append(best := Pooled(row, {}))
                best.by[name] = row[15] > 0
    return frames


def link(frames: Sequence[Sequence[Pooled]], period_ns: int) -> list[list[tuple[int, Pooled]]]:
    """Return the tracks, each a list of frame number and face."""
    ids = count()
    tracker = FaceTracker(new_id=lambda: str(next(ids)))
    tracks: dict[str, list[tuple[int, Pooled]]] = {}
    for number, faces in enumerate(frames):
        rows_NK = np.array([face.row for face in faces], np.float32).reshape(-1, 16)
        found = Detections(
            rows_NK[:, :4], rows_NK[:, 4:14].reshape(-1, 5, 2), np.ones(len(faces), np.float32)
        )
        for face, track_id in zip(faces, tracker.update(found, (number + 1) * period_ns), strict=True):
            if track_id is not None:
                tracks.setdefault(track_id, []).append((number, face))
    return list(tracks.values())


def templates(
    clip: Path, tracks: Sequence[Sequence[tuple[int, Pooled]]], embedder: FaceEmbedder
) -> NDArray[np.float32]:
    """Return one unit row a track."""
    wanted: dict[int, list[tuple[int, Row]]] = {}
    for track, looks in enumerate(tracks):
        largest = sorted(looks, key=lambda look: look[1].row[0] - look[1].row[2])[:LOOKS]
        for frame, face in largest:
            wanted.setdefault(frame, []).append((track, face.row))
    sums_TD = np.zeros((len(tracks), embedder.dimension), np.float32)
    with av.open(str(clip)) as container:
        for number, decoded in enumerate(container.decode(video=0)):
            image_HWC = np.asarray(decoded.to_ndarray(format="rgb24"), np.uint8) if number in wanted else None
            for track, row in wanted.get(number, []):
                assert image_HWC is not None
                crop_HWC = align_crop(image_HWC, np.array(row[4:14]).reshape(5, 2))
                sums_TD[track] += embedder.embed(crop_HWC[None])[0]
    return unit_rows(sums_TD)


def merge(tracks: Sequence[Sequence[tuple[int, Pooled]]], templates_TD: NDArray[np.float32]) -> list[Person]:
    """Return the people whom the tracks belong to."""
    group = list(range(len(tracks)))
    frames = [{number for number, _ in track} for track in tracks]
    similar_TT = templates_TD @ templates_TD.T
    pairs = sorted(zip(*np.triu_indices(len(tracks), 1), strict=True), key=lambda pair: -similar_TT[pair])
    for a, b in pairs:
        first, second = group[a], group[b]
        if similar_TT[a, b] < SAME_PERSON or first == second or frames[first] & frames[second]:
            continue
        frames[first] |= frames[second]
        group = [first if one == second else one for one in group]
    people: dict[int, Person] = {}
    for one, track in zip(group, tracks, strict=True):
        person = people.setdefault(one, Person())
        for number, face in track:
            person.frames.add(number)
            for name, embedded in face.by.items():
                person.found[name] = person.found.get(name, 0) + 1
                person.embedded[name] = person.embedded.get(name, 0) + embedded
    return list(people.values())


def people_in(
    clip: Path, runs: Runs, embedder: FaceEmbedder, period_ns: int
) -> tuple[int, dict[str, People]]:
    """Return how many people at least one contender found, and how many each did."""
    tracks = link(pool(runs), period_ns)
    everybody = merge(tracks, templates(clip, tracks, embedder))
    finders = [{name for name in runs if one.found.get(name, 0) >= SEEN_FRAMES} for one in everybody]
    each = {
        name: People(
            found=sum(name in by for by in finders),
            found_by_others_too=sum(name in by and len(by) > 1 for by in finders),
            embedded=sum(
                name in by and one.embedded.get(name, 0) > 0
                for by, one in zip(finders, everybody, strict=True)
            ),
            found_in_more={
                limit: sum(one.found.get(name, 0) >= limit for one in everybody) for limit in HIGHER_LIMITS
            },
        )
        for name in runs
    }
    return sum(bool(by) for by in finders), each
