"""Looks at one picture as the live path would: one face, good enough, or a reason why not."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overt.control.portrait import portrait_jpeg
from overt.control.upright import is_upright
from overt.recognition.detector import Detections
from overt.recognition.pack import Pack
from overt.recognition.picture import PictureRefused, blur_faces, load_picture
from overt.recognition.quality import assess, enrolment_refusals

NO_FACE = "no face"
SEVERAL_FACES = "several faces"
NOT_UPRIGHT = "picture lies on its side or head down: turn it upright"

# Looked at in turn until a face is found. The detector knows no face larger than its field: one that fills the
# picture is found at the second size. The last two find a small one in a picture of many megapixels.
DETECTION_SIDES_PX = (960, 320, 1920, 3840)


@dataclass(frozen=True, slots=True)
class EnrolmentLimits:
    """How large a picture may be, and when a face in the background makes it ambiguous."""

    max_bytes: int = 30_000_000
    max_pixels: int = 40_000_000
    # A second face counts from this share of the largest one's height: who is meant would be a guess.
    # Smaller ones are blurred in the portrait.
    other_face_share: float = 0.33


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a picture is not enrolled: every reason there is, in words for the officer, semicolons between."""

    reason: str


@dataclass(frozen=True, slots=True)
class Examined:
    """One accepted face: template (D float32, unit length), upright portrait, quality 0 to 100."""

    template_D: NDArray[np.float32]
    portrait_jpeg: bytes
    quality: int


class Examiner:
    """Examines pictures with the same pack as the live path."""

    def __init__(self, pack: Pack, limits: EnrolmentLimits) -> None:
        self._pack = pack
        self._limits = limits

    def read(self, path: Path) -> bytes | Refused:
        """Return the content of `path`, of which not more than the limit is ever read, or why not."""
        try:
            if not path.is_file():
                return Refused("not a file")
            with path.open("rb") as file:
                return self.check_size(file.read(self._limits.max_bytes + 1))
        except OSError as error:
            return Refused(f"unreadable: {error.strerror}")

    def check_size(self, content: bytes) -> bytes | Refused:
        """Return `content`, or why it is too large."""
        limit = self._limits.max_bytes
        return content if len(content) <= limit else Refused(f"too large: more than {limit // 1_000_000} MB")

    def examine(self, content: bytes) -> Examined | Refused:
        """Return the face in the picture that `content` holds, or why it can't be enrolled."""
        try:
            image_HWC = load_picture(
                content, max_pixels=self._limits.max_pixels, max_bytes=self._limits.max_bytes
            )
        except PictureRefused as refused:
            return Refused(str(refused))
        faces = self._detect(image_HWC)
        if len(faces.scores_N) == 0:
            return Refused(NO_FACE)
        largest = int(np.argmax(_heights(faces)))
        rivals = _heights(faces) >= self._limits.other_face_share * _heights(faces)[largest]
        if int(np.count_nonzero(rivals)) > 1:
            return Refused(SEVERAL_FACES)
        if not is_upright(image_HWC, faces.boxes_N4[largest], self._pack.detector):
            return Refused(NOT_UPRIGHT)
        return self._accept(image_HWC, faces, largest)

    def _detect(self, image_HWC: NDArray[np.uint8]) -> Detections:
        for side_px in DETECTION_SIDES_PX:
            faces = self._pack.detector.detect(image_HWC, longest_side_px=side_px)
            if len(faces.scores_N):
                break
        return faces

    def _accept(self, image_HWC: NDArray[np.uint8], faces: Detections, index: int) -> Examined | Refused:
        landmarks_52 = faces.landmarks_N52[index]
        crop_HWC = self._pack.aligner.crop(image_HWC, landmarks_52)
        quality = assess(image_HWC, box=faces.boxes_N4[index], landmarks_52=landmarks_52)
        reasons = enrolment_refusals(quality)
        if reasons:
            return Refused("; ".join(reasons))
        alone_HWC = blur_faces(image_HWC, faces.boxes_N4, keep=index)
        template_D = self._pack.embedder.embed(crop_HWC[np.newaxis])[0]
        return Examined(template_D, portrait_jpeg(alone_HWC, landmarks_52), quality.score)


def _heights(faces: Detections) -> NDArray[np.float32]:
    heights_N: NDArray[np.float32] = faces.boxes_N4[:, 3] - faces.boxes_N4[:, 1]
    return heights_N
