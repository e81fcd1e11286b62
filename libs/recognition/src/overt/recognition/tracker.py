"""Follows faces through the pictures of one camera, for the seconds they are in its view.

The tracker sees boxes and scores only. It has no memory of appearance: who leaves and comes back is new, and so
is whoever may have been mixed up with somebody else. An id that went from one person to another would join their
templates; one that ends too early costs a few looks more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from edgefirst.tracker import ActiveTrackInfo, ByteTrack
from numpy.typing import NDArray

from overt.recognition.ambiguity import doubtful_tracks, overlaps
from overt.recognition.best_shots import BestShotLimits, BestShots, DueShot
from overt.recognition.detector import Detections

__all__ = ["BestShotLimits", "BestShots", "DueShot", "FaceTracker", "TrackerOptions"]

Box4 = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """How a track begins, goes on and ends.

    begin_score: a surer detection may begin a track; a weaker one only continues one (ByteTrack, Zhang et
    al. 2022). iou: overlap with the expected place from which a detection belongs to a track.
    expand: boxes are compared this many times as large, around their middle: a walking face's box at
    10 pictures a second hardly overlaps with where it was (buffered IoU, Yang et al. 2023). On a walking
    crowd of about a dozen faces, 25 pictures a second, this took the tracks from 33 to 15.
    update: weight of a new detection against the motion model. min_hits: pictures a face was seen in before
    it gets an id: what flashes up once is mostly no face. lifespan_ns: how long a face may be hidden.
    """

    begin_score: float = 0.7
    iou: float = 0.2
    expand: float = 2.0
    update: float = 0.5
    lifespan_ns: int = 1_000_000_000
    min_hits: int = 2
    margin: float = 0.3
    touch: float = 0.3


class FaceTracker:
    """One camera's tracks. Not safe to share between threads.

    `new_id` makes ids; they should be random and short, so that nothing links a track to another camera or
    another run.
    """

    def __init__(self, *, new_id: Callable[[], str], options: TrackerOptions | None = None) -> None:
        self._options = options or TrackerOptions()
        self._new_id = new_id
        self._tracker = ByteTrack(
            high_conf=self._options.begin_score,
            iou=self._options.iou,
            update=self._options.update,
            lifespan_ns=self._options.lifespan_ns,
        )
        self._ids: dict[str, str] = {}
        # Where each of ByteTrack's tracks was seen at last, and where it was and will be by its motion.
        self._places: dict[str, _Place] = {}
        self._hits_in_doubt: dict[str, int] = {}
        self._ended: tuple[str, ...] = ()

    @property
    def ended(self) -> tuple[str, ...]:
        """The ids of the tracks that the last `update` found to be over."""
        return self._ended

    @property
    def alive(self) -> frozenset[str]:
        """The ids of the tracks that may go on."""
        return frozenset(self._ids.values())

    def update(self, detections: Detections, pts_ns: int) -> tuple[str | None, ...]:
        """Return the track id of each detection, None while it is not sure enough to be a track.

        To be called for every picture, also for one without faces: time ends tracks. `pts_ns` rises.
        """
        boxes_N4 = expanded(detections.boxes_N4, self._options.expand)
        before = self._places
        infos = self._tracker.update(
            boxes_N4, detections.scores_N, np.zeros(len(detections), np.uintp), pts_ns
        )
        uuids = [info.uuid if info else None for info in infos]
        # The counts that `update` returns lag one picture behind these.
        active = {track.info.uuid: track for track in self._tracker.get_active_tracks()}
        hits = {uuid: track.info.count for uuid, track in active.items()}
        self._places = {uuid: _Place.after(track, before.get(uuid)) for uuid, track in active.items()}
        gone = self._ids.keys() - active.keys()
        doubtful = self._doubtful(boxes_N4, uuids, before)
        self._hits_in_doubt = {uuid: at for uuid, at in self._hits_in_doubt.items() if uuid in active}
        self._hits_in_doubt |= {uuid: hits[uuid] for uuid in doubtful & active.keys()}
        over = [uuid for uuid in self._ids if uuid in gone or uuid in doubtful]
        self._ended = tuple(self._ids.pop(uuid) for uuid in over)
        return tuple(self._id(uuid, hits.get(uuid, 0)) if uuid else None for uuid in uuids)

    def _doubtful(
        self, boxes_N4: NDArray[np.float32], uuids: Sequence[str | None], before: Mapping[str, "_Place"]
    ) -> frozenset[str]:
        """Return ByteTrack's names of the tracks that may have been mixed up in this picture.

        Each is expected where it would be by its motion, or where it was: who meets somebody may turn back.
        """
        if not before or not len(boxes_N4):
            return frozenset()
        names, places = list(before), list(before.values())
        overlaps_NM = np.maximum(
            overlaps(boxes_N4, np.array([place.next_4 for place in places], np.float32)),
            overlaps(boxes_N4, np.array([place.seen_4 for place in places], np.float32)),
        )
        number = {uuid: index for index, uuid in enumerate(names)}
        taken = {index: number[uuid] for index, uuid in enumerate(uuids) if uuid in number}
        doubtful = doubtful_tracks(overlaps_NM, taken, margin=self._options.margin, touch=self._options.touch)
        return frozenset(names[index] for index in doubtful)

    def _id(self, uuid: str, hits: int) -> str | None:
        if hits - self._hits_in_doubt.get(uuid, 0) < self._options.min_hits:
            return None
        if uuid not in self._ids:
            self._ids[uuid] = self._new_id()
        return self._ids[uuid]


@dataclass(frozen=True, slots=True)
class _Place:
    """Boxes of one track: where it was seen, where the motion model has it now, and in the next picture."""

    seen_4: Box4
    now_4: Box4
    next_4: Box4

    @classmethod
    def after(cls, track: ActiveTrackInfo, before: "_Place | None") -> "_Place":
        """Return the places of a track after an update, by its places before it."""
        now_4 = track.info.tracked_location
        was_4 = before.now_4 if before else now_4
        x0, y0, x1, y1 = (2 * now - was for now, was in zip(now_4, was_4, strict=True))
        return cls(track.last_box[0], now_4, (x0, y0, x1, y1))


def expanded(boxes_N4: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return the boxes `factor` times as wide and high, around the same middle."""
    middle_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    half_N2 = (boxes_N4[:, 2:] - boxes_N4[:, :2]) * np.float32(factor / 2)
    return np.concatenate([middle_N2 - half_N2, middle_N2 + half_N2], axis=1).astype(np.float32)
