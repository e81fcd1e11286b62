"""One look at one face that may be handed on, and the pictures made of it if it is."""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from overt.contracts.messages import Box, FrameCaptured, Presentation, Shot
from overt.detect import jpeg
from overt.detect.finder import FaceFinder
from overt.detect.portrait import portrait_region
from overt.recognition.align import Aligner
from overt.recognition.detector import to_scale
from overt.recognition.picture import blur_faces
from overt.recognition.presentation import Finding
from overt.recognition.quality import assess

PORTRAIT_SIDE_PX = 400
PORTRAIT_QUALITY = 88
CONTEXT_WIDTH_PX = 960
CONTEXT_QUALITY = 80
# Two boxes of one picture that overlap more than this are one face: what the detector's own suppression takes.
SAME_FACE_IOU = 0.3


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is kept of a look until it is sent or replaced by a better one.

    The frame stays the JPEG that came in, shared by all the faces in it: most sightings are replaced or
    dropped, so pictures are made only of those that are sent. `boxes_N4` are all the faces that were found
    in the frame, also the doubtful ones, in its full-size pixels; `index` is this one's. Where the camera's
    zone left something out (not `sees_all`), the whole picture is searched once more for faces to blur.
    """

    frame: FrameCaptured
    boxes_N4: NDArray[np.float32]
    index: int
    landmarks_52: NDArray[np.float32]
    sees_all: bool = True

    def shot(self, track_id: str, number: int, making: "Making") -> Shot:
        """Return the shot: crop, portrait and context, every other face blurred. Raises UnreadablePicture."""
        whole_HWC = jpeg.decode(self.frame.jpeg)
        aligner = making.aligner
        crop_HWC = aligner.crop(whole_HWC, self.landmarks_52)
        box_4 = self.boxes_N4[self.index]
        boxes_N4 = self.boxes_N4
        if not self.sees_all:
            boxes_N4 = with_others(boxes_N4, making.faces_of(whole_HWC), keep=self.index)
        quality = assess(whole_HWC, box=box_4, landmarks_52=self.landmarks_52)
        return Shot(
            camera_id=self.frame.camera_id,
            track_id=track_id,
            number=number,
            captured_at_ns=self.frame.captured_at_ns,
            read_at_ns=self.frame.read_at_ns,
            box=Box(*map(float, box_4)),
            landmarks_px=_ten(self.landmarks_52),
            quality=quality.score,
            crop_side_px=aligner.size_px,
            crop_rgb=crop_HWC.tobytes(),
            portrait_jpeg=self._portrait(whole_HWC, boxes_N4),
            context_jpeg=self._context(whole_HWC, boxes_N4),
        )

    def _portrait(self, whole_HWC: NDArray[np.uint8], boxes_N4: NDArray[np.float32]) -> bytes:
        height_px, width_px = whole_HWC.shape[:2]
        region = portrait_region(self.landmarks_52, width_px, height_px)
        blurred_HWC = blur_faces(region.cut(whole_HWC), region.shifted(boxes_N4), keep=self.index)
        return jpeg.encode(_shrunk(blurred_HWC, PORTRAIT_SIDE_PX), PORTRAIT_QUALITY)

    def _context(self, whole_HWC: NDArray[np.uint8], boxes_N4: NDArray[np.float32]) -> bytes:
        small_HWC = _shrunk(whole_HWC, CONTEXT_WIDTH_PX)
        small_N4 = to_scale(boxes_N4, small_HWC.shape[1] / whole_HWC.shape[1])
        return jpeg.encode(blur_faces(small_HWC, small_N4, keep=self.index), CONTEXT_QUALITY)


@dataclass(frozen=True, slots=True)
class Making:
    """What shots are made with. longest_side_px: at which a whole picture is searched for faces to blur."""

    aligner: Aligner
    finder: FaceFinder
    longest_side_px: int

    def faces_of(self, whole_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the boxes (left, top, right, bottom) of all faces of a picture, the doubtful ones too."""
        return self.finder.detect_batch([whole_HWC], longest_side_px=self.longest_side_px)[0].boxes_N4


def with_others(
    boxes_N4: NDArray[np.float32], more_M4: NDArray[np.float32], *, keep: int
) -> NDArray[np.float32]:
    """Return `boxes_N4` and after them what of `more_M4` is not face number `keep`, seen once more."""
    own_4 = boxes_N4[keep]
    low_M2, high_M2 = np.maximum(more_M4[:, :2], own_4[:2]), np.minimum(more_M4[:, 2:], own_4[2:])
    common_M = np.prod(np.clip(high_M2 - low_M2, 0, None), axis=1)
    area_M, own_area = np.prod(more_M4[:, 2:] - more_M4[:, :2], axis=1), np.prod(own_4[2:] - own_4[:2])
    is_other_M = common_M <= SAME_FACE_IOU * (area_M + own_area - common_M)
    return np.concatenate([boxes_N4, more_M4[is_other_M]])


def with_presentation(shot: Shot, finding: Finding | None) -> Shot:
    """Return the shot with what the presentation check says of its track."""
    if finding is None:
        return shot
    return msgspec.structs.replace(shot, presentation=Presentation(finding.looks, finding.flagged))


def _ten(
    landmarks_52: NDArray[np.float32],
) -> tuple[float, float, float, float, float, float, float, float, float, float]:
    a, b, c, d, e, f, g, h, i, j = landmarks_52.ravel().tolist()
    return a, b, c, d, e, f, g, h, i, j


def _shrunk(picture_HWC: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    """Return the picture no wider than `width_px`."""
    height, width = picture_HWC.shape[:2]
    if width <= width_px:
        return picture_HWC
    size = (width_px, max(1, round(height * width_px / width)))
    picture = Image.fromarray(picture_HWC)
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0))
