"""Follows faces through the pictures of one camera, for the seconds they are in its view.

The tracker sees boxes and scores only. It has no memory of appearance: who leaves and comes back is new.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from edgefirst.tracker import ByteTrack
from numpy.typing import NDArray

from overt.recognition.best_shots import BestShotLimits, BestShots, DueShot
from overt.recognition.detector import Detections

__all__ = ["BestShotLimits", "BestShots", "DueShot", "FaceTracker", "TrackerOptions"]


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
        infos = self._tracker.update(
            expanded(detections.boxes_N4, self._options.expand),
            detections.scores_N,
            np.zeros(len(detections), np.uintp),
            pts_ns,
        )
        # The counts that `update` returns lag one picture behind these.
        hits = {track.info.uuid: track.info.count for track in self._tracker.get_active_tracks()}
        gone = [uuid for uuid in self._ids if uuid not in hits]
        self._ended = tuple(self._ids.pop(uuid) for uuid in gone)
        return tuple(self._id(info.uuid, hits.get(info.uuid, 0)) if info else None for info in infos)

    def _id(self, uuid: str, hits: int) -> str | None:
        if hits < self._options.min_hits:
            return None
        if uuid not in self._ids:
            self._ids[uuid] = self._new_id()
        return self._ids[uuid]


def expanded(boxes_N4: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return the boxes `factor` times as wide and high, around the same middle."""
    middle_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    half_N2 = (boxes_N4[:, 2:] - boxes_N4[:, :2]) * np.float32(factor / 2)
    return np.concatenate([middle_N2 - half_N2, middle_N2 + half_N2], axis=1).astype(np.float32)
