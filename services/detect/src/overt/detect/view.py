"""One camera's view: the faces in it now, and the best looks at them that wait to be handed on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from overt.contracts.messages import FrameCaptured
from overt.detect import jpeg
from overt.detect.settings import DetectOptions
from overt.detect.sighting import Sighting
from overt.recognition.best_shots import BestShots, DueShot
from overt.recognition.detector import Detections
from overt.recognition.framing import frontal_eye_distance_px
from overt.recognition.presentation import Finding, PresentationCheck
from overt.recognition.quality import PROBE_EYE_DISTANCE_PX, assess, probe_ok
from overt.recognition.tracker import FaceTracker

MAX_SHOTS = 5  # the contract's, see Shot.number
BEST_QUALITY = 100
# Judging a look costs as much as detecting a face in it. A face without a shot is judged often enough that
# its first one is out within 200 ms of its becoming good; for a better one there is time.
JUDGE_FIRST_EVERY_NS = 60_000_000
JUDGE_NEXT_EVERY_NS = 100_000_000
# A face this far below the least size is not judged at all: quality measures size more exactly.
HOPELESS_SIZE_PX = 0.8 * PROBE_EYE_DISTANCE_PX


class FaceFinder(Protocol):
    """What is asked of a pack's detector; one a model pack."""

    def detect(self, image_HWC: NDArray[np.uint8], *, longest_side_px: int) -> Detections:
        """Return the faces of an RGB picture in its pixels, the doubtful ones too."""


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
class Look:
    """What one frame gave."""

    faces: int
    new_tracks: int
    ready: tuple[ReadyShot, ...]


class CameraView:
    """Follows the faces of one camera under one order. Not safe to share between threads.

    What it knows lives in memory for the seconds a face is in view; `new_id` makes ids that mean nothing
    elsewhere. Times are those of the frames: `captured_at_ns`, which must rise.
    """

    def __init__(self, finder: FaceFinder, options: DetectOptions, new_id: Callable[[], str]) -> None:
        self._finder = finder
        self._options = options
        self._tracker = FaceTracker(new_id=new_id)
        self._best: BestShots[Sighting] = BestShots()
        self._sent: dict[str, int] = {}
        self._judged_at_ns: dict[str, int] = {}
        self._checks: dict[str, PresentationCheck] = {}

    def look(self, frame: FrameCaptured) -> Look:
        """Find and follow the faces of the next frame. Raises jpeg.UnreadablePicture."""
        small_HWC = jpeg.decode(frame.jpeg, min_longest_px=self._options.longest_side_px)
        found = self._finder.detect(small_HWC, longest_side_px=self._options.longest_side_px)
        scale = frame.width_px / small_HWC.shape[1]
        whole = found.scaled(scale)
        track_ids = self._tracker.update(whole, frame.captured_at_ns)
        new = {track_id for track_id in track_ids if track_id is not None} - self._sent.keys()
        self._sent.update(dict.fromkeys(new, 0))
        for index, track_id in enumerate(track_ids):
            if track_id is None or found.scores_N[index] < self._options.shot_score:
                continue
            check = self._checks.setdefault(track_id, PresentationCheck())
            check.add(small_HWC, found.landmarks_N52[index], frame.captured_at_ns)
            if self._is_to_be_judged(track_id, whole.landmarks_N52[index], frame.captured_at_ns):
                self._offer(frame, track_id, index, small_HWC=small_HWC, small=found, whole=whole)
        ready = self._numbered(self._best.close(self._tracker.ended)) + self.due(frame.captured_at_ns)
        for track_id in self._tracker.ended:
            self._sent.pop(track_id, None)
            self._judged_at_ns.pop(track_id, None)
            self._checks.pop(track_id, None)
        return Look(int(np.sum(found.scores_N >= self._options.shot_score)), len(new), ready)

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
        if frontal_eye_distance_px(landmarks_52) < HOPELESS_SIZE_PX:
            return False
        if not self._best.wants(track_id, BEST_QUALITY):
            return False
        self._judged_at_ns[track_id] = at_ns
        return True

    def _offer(  # noqa: PLR0913 - one face in two scales
        self,
        frame: FrameCaptured,
        track_id: str,
        index: int,
        *,
        small_HWC: NDArray[np.uint8],
        small: Detections,
        whole: Detections,
    ) -> None:
        """Judge one look on the small picture, where most looks end, and keep it if it is the best yet.

        Crop and sharpness are those of the small picture, so looks are compared like with like; only the
        least size a probe must have is asked of the full picture.
        """
        quality = assess(small_HWC, box=small.boxes_N4[index], landmarks_52=small.landmarks_N52[index])
        scale = frame.width_px / small_HWC.shape[1]
        whole_px = quality.components.inter_eye_distance_px * scale
        if not probe_ok(
            replace(quality, components=replace(quality.components, inter_eye_distance_px=whole_px))
        ):
            return
        sighting = Sighting(frame, whole.boxes_N4, index, whole.landmarks_N52[index])
        self._best.offer(track_id, quality.score, frame.captured_at_ns, sighting)

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
