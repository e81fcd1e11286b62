"""Finds faces and their five landmarks in one picture: YuNet (Wu et al. 2023) in ONNX Runtime.

Coordinates are pixel indices: the middle of the first pixel is (0, 0).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRIDES_PX = (8, 16, 32)
# Both sides of what the network sees are multiples of its coarsest stride.
MULTIPLE_PX = 32
LONGEST_SIDE_PX = 960
SCORE_THRESHOLD = 0.6
NMS_IOU = 0.3
# Faces that one picture may have; the network's noise on a pathological picture must not cost seconds.
MAX_FACES = 750

Floats = NDArray[np.float32]


class Session(Protocol):
    """The one call of ONNX Runtime's InferenceSession that is used."""

    def run(self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]) -> list[Floats]:
        """Return the named outputs."""


@dataclass(frozen=True, slots=True)
class Detections:
    """N faces, the surest first, in pixels of the picture that was given.

    boxes_N4: left, top, right, bottom. landmarks_N52: right eye, left eye, nose, right and left corner of
    the mouth (right is the person's own), each x, y. scores_N: 0 to 1. All float32.
    """

    boxes_N4: Floats
    landmarks_N52: Floats
    scores_N: Floats

    def __post_init__(self) -> None:
        """Refuse shapes that do not belong together."""
        count = len(self.scores_N)
        for name, array, shape in (
            ("boxes_N4", self.boxes_N4, (count, 4)),
            ("landmarks_N52", self.landmarks_N52, (count, 5, 2)),
            ("scores_N", self.scores_N, (count,)),
        ):
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, expected float32 {shape}")

    def __len__(self) -> int:
        return len(self.scores_N)

    def scaled(self, factor: float) -> "Detections":
        """Return the same faces in pixels of the same picture drawn `factor` times as large.

        A picture decoded at half size is brought to full size by a factor of 2.
        """
        boxes_N4 = to_scale(self.boxes_N4, factor)
        return Detections(boxes_N4, to_scale(self.landmarks_N52, factor), self.scores_N)


def to_scale(points: Floats, factor: float) -> Floats:
    """Return pixel indices of a picture as those of the same picture `factor` times as large."""
    return ((points + np.float32(0.5)) * np.float32(factor) - np.float32(0.5)).astype(np.float32)


class Detector:
    """Finds faces. Safe to share between threads, as ONNX Runtime's sessions are."""

    def __init__(self, session: Session, *, score_threshold: float = SCORE_THRESHOLD) -> None:
        self._session = session
        self._score_threshold = score_threshold

    def detect(self, image_HWC: NDArray[np.uint8], *, longest_side_px: int = LONGEST_SIDE_PX) -> Detections:
        """Return the faces of an RGB picture, seen at `longest_side_px` (it is never enlarged).

        A picture that is no larger than that is not resized. Raises ValueError for another shape or type.
        """
        if image_HWC.ndim != 3 or image_HWC.shape[2] != 3 or image_HWC.dtype != np.uint8:
            raise ValueError(f"picture is {image_HWC.dtype} {image_HWC.shape}, expected uint8 (H, W, 3)")
        height, width = image_HWC.shape[:2]
        if min(height, width) == 0:
            return _nothing()
        small_HWC = _shrunk(image_HWC, longest_side_px)
        found = self._detect_as_is(small_HWC)
        # Width and height may be rounded differently: each axis has a factor of its own.
        factors = (width / small_HWC.shape[1], height / small_HWC.shape[0])
        if factors == (1.0, 1.0):
            return found
        factors_2 = np.array(factors, np.float32)
        return Detections(
            _rescaled(found.boxes_N4.reshape(-1, 2, 2), factors_2).reshape(-1, 4),
            _rescaled(found.landmarks_N52, factors_2),
            found.scores_N,
        )

    def detect_scaled(self, image_HWC: NDArray[np.uint8], scale: float) -> Detections:
        """Return the faces of a picture that was decoded at 1/`scale` of its size, in full-size pixels.

        The picture is taken as it is, without resizing.
        """
        return self.detect(image_HWC, longest_side_px=max(image_HWC.shape[:2])).scaled(scale)

    def _detect_as_is(self, image_HWC: NDArray[np.uint8]) -> Detections:
        outputs = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES_PX]
        blob_NCHW = _blob(image_HWC)
        arrays = self._session.run(outputs, {"input": blob_NCHW})
        maps = dict(zip(outputs, arrays, strict=True))
        found = decode(maps, blob_NCHW.shape[3], self._score_threshold)
        kept = suppress(found.boxes_N4, found.scores_N, NMS_IOU)[:MAX_FACES]
        return Detections(found.boxes_N4[kept], found.landmarks_N52[kept], found.scores_N[kept])


def decode(maps: dict[str, Floats], width_px: int, score_threshold: float) -> Detections:
    """Return every anchor at or above the threshold as a face, before suppression.

    A score is the geometric mean of class and objectness; centres are offsets from the anchor's cell and
    sizes are exponents, all in strides (OpenCV's FaceDetectorYN).
    """
    boxes, landmarks, scores = [], [], []
    for stride in STRIDES_PX:
        score_A = np.sqrt(
            np.clip(maps[f"cls_{stride}"][0, :, 0], 0, 1) * np.clip(maps[f"obj_{stride}"][0, :, 0], 0, 1)
        )
        chosen_K = np.flatnonzero(score_A >= score_threshold)
        cell_K2 = np.column_stack(np.divmod(chosen_K, width_px // stride)[::-1]).astype(np.float32)
        box_K4 = maps[f"bbox_{stride}"][0, chosen_K]
        centre_K2 = (cell_K2 + box_K4[:, :2]) * stride
        half_K2 = np.exp(box_K4[:, 2:]) * (stride / 2)
        offsets_K52 = maps[f"kps_{stride}"][0, chosen_K].reshape(-1, 5, 2)
        boxes.append(np.concatenate([centre_K2 - half_K2, centre_K2 + half_K2], axis=1))
        landmarks.append((cell_K2[:, None] + offsets_K52) * stride)
        scores.append(score_A[chosen_K])
    return Detections(
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(landmarks).astype(np.float32),
        np.concatenate(scores).astype(np.float32),
    )


def suppress(boxes_N4: Floats, scores_N: Floats, iou: float) -> NDArray[np.intp]:
    """Return the indices that stay, the surest first: greedy non-maximum suppression."""
    order = np.argsort(-scores_N, kind="stable")
    area_N = np.prod(boxes_N4[:, 2:] - boxes_N4[:, :2], axis=1)
    kept: list[int] = []
    while len(order):
        first, rest = int(order[0]), order[1:]
        kept.append(first)
        low_R2 = np.maximum(boxes_N4[first, :2], boxes_N4[rest, :2])
        high_R2 = np.minimum(boxes_N4[first, 2:], boxes_N4[rest, 2:])
        common_R = np.prod(np.clip(high_R2 - low_R2, 0, None), axis=1)
        order = rest[common_R <= iou * (area_N[first] + area_N[rest] - common_R)]
    return np.array(kept, np.intp)


def _shrunk(image_HWC: NDArray[np.uint8], longest_side_px: int) -> NDArray[np.uint8]:
    height, width = image_HWC.shape[:2]
    scale = longest_side_px / max(height, width)
    if scale >= 1:
        return image_HWC
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(np.ascontiguousarray(image_HWC))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _blob(image_HWC: NDArray[np.uint8]) -> Floats:
    """Return 1 x 3 x H x W in blue, green, red, 0 to 255, black-padded right and below."""
    height, width = image_HWC.shape[:2]
    padded = (-(-height // MULTIPLE_PX) * MULTIPLE_PX, -(-width // MULTIPLE_PX) * MULTIPLE_PX)
    blob_NCHW = np.zeros((1, 3, *padded), np.float32)
    blob_NCHW[0, :, :height, :width] = image_HWC[:, :, ::-1].transpose(2, 0, 1)
    return blob_NCHW


def _rescaled(points: Floats, factors_2: Floats) -> Floats:
    return ((points + np.float32(0.5)) * factors_2 - np.float32(0.5)).astype(np.float32)


def _nothing() -> Detections:
    empty = np.zeros((0, 4), np.float32)
    return Detections(empty, np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
