"""One camera's view: the faces in it now, and the best looks at them that wait to be handed on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from overt.contracts.messages import FrameCaptured
from overt.detect.settings import DetectOptions
from overt.detect.shown import Shown, is_inside, show
from overt.detect.sighting import Sighting
from overt.detect.zones import Zone
from overt.recognition.best_shots import BestShots, DueShot
from overt.recognition.detector import Detections
from overt.recognition.framing import frontal_eye_distance_px
from overt.recognition.presentation import Finding, PresentationCheck
from overt.recognition.quality import assess, probe_ok
from overt.recognition.tracker import FaceTracker

MAX_SHOTS = 5  # the contract's, see Shot.number
BEST_QUALITY = 100
# Judging a look costs as much as detecting a face in it. A face without a shot is judged often enough that
# its first one is out within 200 ms of its becoming good; for a better one there is time.
JUDGE_FIRST_EVERY_NS = 60_000_000
JUDGE_NEXT_EVERY_NS = 100_000_000
# A face this far below the least size is not judged at all: quality measures size more exactly.
HOPELESS_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class ReadyShot:
    """A look that is to be handed on now, the `number`th of its track.

    `finding`: what the presentation check says of the track by now; it decides nothing.
    """

    track_id: str
    number: int
    sighting: Sighting
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """N faces of a frame, in pixels of the small and of the full picture, and which are inside the zone."""

    small: Detections
    whole: Detections
    inside_N: NDArray[np.bool_]

    @classmethod
    def of(cls, shown: Shown, found: Detections, zone: Zone) -> "Faces":
        """Return what was found in the shown region."""
        small = shown.in_small(found)
        height_px, width_px = shown.small_HWC.shape[:2]
        inside_N = is_inside(small.boxes_N4, zone, (width_px, height_px))
        return cls(small, small.scaled(shown.scale), inside_N)


@dataclass(frozen=True, slots=True)
class Look:
    """What one frame gave; `faces` are those in the zone that are sure enough to be counted."""

    faces: int
    new_tracks: int
    ready: tuple[ReadyShot, ...]


class CameraView:
    """Follows the faces of one camera under one order. Not safe to share between threads.

    What it knows lives in memory for the seconds a face is in view; `new_id` makes ids that mean nothing
    elsewhere. Times are those of the frames: `captured_at_ns`, which must rise. Each frame is shown
    (`show`), and if it is to be looked at, followed (`follow`) with what the detector found in it.
    """

    def __init__(self, zone: Zone, options: DetectOptions, new_id: Callable[[], str]) -> None:
        self._zone = zone
        self._options = options
        self._tracker = FaceTracker(new_id=new_id)
        self._best: BestShots[Sighting] = BestShots()
        self._sent: dict[str, int] = {}
        self._judged_at_ns: dict[str, int] = {}
        self._between = 0
        self._checks: dict[str, PresentationCheck] = {}

    def show(self, frame: FrameCaptured) -> Shown | None:
        """Return what the detector is to see of the next frame; None for one between two that are looked at.

        Raises jpeg.UnreadablePicture; the frame after it is looked at instead.
        """
        if self._between:
            self._between -= 1
            return None
        shown = show(frame, self._zone, self._options.longest_side_px)
        self._between = self._zone.every_nth - 1
        return shown

    def follow(self, shown: Shown, found: Detections) -> Look:
        """Take the faces that were found in `shown`, in its region's pixels, as the view's next moment."""
        at_ns = shown.frame.captured_at_ns
        faces = Faces.of(shown, found, self._zone)
        track_ids = self._tracker.update(faces.whole.only(faces.inside_N), at_ns)
        new = {track_id for track_id in track_ids if track_id is not None} - self._sent.keys()
        self._sent.update(dict.fromkeys(new, 0))
        for index, track_id in zip(np.flatnonzero(faces.inside_N).tolist(), track_ids, strict=True):
            if track_id is None or found.scores_N[index] < self._options.shot_score:
                continue
            check = self._checks.setdefault(track_id, PresentationCheck())
            check.add(shown.small_HWC, faces.small.landmarks_N52[index], at_ns)
            if self._is_to_be_judged(track_id, faces.whole.landmarks_N52[index], at_ns):
                self._offer(shown, faces, track_id, index)
        ready = self._numbered(self._best.close(self._tracker.ended)) + self.due(at_ns)
        for track_id in self._tracker.ended:
            self._sent.pop(track_id, None)
            self._judged_at_ns.pop(track_id, None)
            self._checks.pop(track_id, None)
        counted = int(np.sum(found.scores_N[faces.inside_N] >= self._options.shot_score))
        return Look(counted, len(new), ready)

    def due(self, at_ns: int) -> tuple[ReadyShot, ...]:
        """Return what has waited long enough at `at_ns`, for when no frame comes."""
        return self._numbered(self._best.due(at_ns))

    def end(self) -> tuple[ReadyShot, ...]:
        """Return all that still waited; the view is of no use afterwards."""
        return self._numbered(self._best.flush())

    def _is_to_be_judged(self, track_id: str, landmarks_52: NDArray[np.float32], at_ns: int) -> bool:
        every_ns = JUDGE_NEXT_EVERY_NS if self._sent[track_id] else JUDGE_FIRST_EVERY_NS
        if at_ns - self._judged_at_ns.get(track_id, at_ns - every_ns) < every_ns:
            return False
        if frontal_eye_distance_px(landmarks_52) < HOPELESS_SHARE * self._zone.probe_eye_distance_px:
            return False
        if not self._best.wants(track_id, BEST_QUALITY):
            return False
        self._judged_at_ns[track_id] = at_ns
        return True

    def _offer(self, shown: Shown, faces: "Faces", track_id: str, index: int) -> None:
        """Judge one look on the small picture, where most looks end, and keep it if it is the best yet.

        Crop and sharpness are those of the small picture, so looks are compared like with like; only the
        least size a probe must have is asked of the full picture.
        """
        quality = assess(
            shown.small_HWC, box=faces.small.boxes_N4[index], landmarks_52=faces.small.landmarks_N52[index]
        )
        whole_px = quality.components.inter_eye_distance_px * shown.scale
        components = replace(quality.components, inter_eye_distance_px=whole_px)
        if whole_px < self._zone.probe_eye_distance_px or not probe_ok(
            replace(quality, components=components)
        ):
            return
        sighting = Sighting(
            shown.frame,
            faces.whole.boxes_N4,
            index,
            faces.whole.landmarks_N52[index],
            sees_all=shown.sees_all,
        )
        self._best.offer(track_id, quality.score, shown.frame.captured_at_ns, sighting)

    def _numbered(self, due: Iterable[DueShot[Sighting]]) -> tuple[ReadyShot, ...]:
        ready = []
        for shot in due:
            number = self._sent.get(shot.track_id, 0) + 1
            self._sent[shot.track_id] = number
            # A track that BestShots gave up and met again would begin to count anew: the limit holds here.
            if number <= MAX_SHOTS:
                check = self._checks.get(shot.track_id)
                finding = check.finding() if check else None
                ready.append(ReadyShot(shot.track_id, number, shot.shot, finding))
        return tuple(ready)
