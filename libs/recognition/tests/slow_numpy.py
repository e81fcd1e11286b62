"""The way from a picture to a template once more: slow, in NumPy alone, one value after the other.

Written from the definitions, not from the code it checks: nothing of `overt.recognition` is imported. Coordinates
are pixel indices, the middle of the first pixel is (0, 0); pictures are RGB, rows x columns x 3.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
Network = Callable[[NDArray[np.float32]], Mapping[str, NDArray[np.float32]]]

STRIDES_PX = (8, 16, 32)
# ArcFace's five places in 112 pixels, as OpenCV's FaceRecognizerSF has them.
PLACES = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
CROP_PX = 112


@dataclass(frozen=True)
class Face:
    """A face: left, top, right, bottom; five landmarks; score."""

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float


def blob(image_HWC: Picture) -> NDArray[np.float32]:
    """Return what YuNet is shown: BGR, 0 to 255, black to the right and below up to a multiple of 32."""
    height, width = image_HWC.shape[:2]
    shown = np.zeros((1, 3, math.ceil(height / 32) * 32, math.ceil(width / 32) * 32), np.float32)
    for channel in range(3):
        for row in range(height):
            shown[0, channel, row, :width] = image_HWC[row, :, 2 - channel]
    return shown


def decoded(maps: Mapping[str, NDArray[np.float32]], width_px: int, least_score: float) -> list[Face]:
    """Return YuNet's answer, anchor by anchor (Wu et al. 2023; OpenCV's FaceDetectorYN)."""
    faces = []
    for stride in STRIDES_PX:
        columns = width_px // stride
        for anchor in range(maps[f"cls_{stride}"].shape[1]):
            class_ = min(max(float(maps[f"cls_{stride}"][0, anchor, 0]), 0.0), 1.0)
            object_ = min(max(float(maps[f"obj_{stride}"][0, anchor, 0]), 0.0), 1.0)
            score = math.sqrt(class_ * object_)
            if score < least_score:
                continue
            row, column = anchor // columns, anchor % columns
            dx, dy, log_width, log_height = (float(value) for value in maps[f"bbox_{stride}"][0, anchor])
            x, y = (column + dx) * stride, (row + dy) * stride
            width, height = math.exp(log_width) * stride, math.exp(log_height) * stride
            offsets = [float(value) for value in maps[f"kps_{stride}"][0, anchor]]
            landmarks = tuple(
                ((column + offsets[2 * number]) * stride, (row + offsets[2 * number + 1]) * stride)
                for number in range(5)
            )
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            faces.append(Face(box, landmarks, score))
    return faces


def overlap(a: Face, b: Face) -> float:
    """Return the intersection over union of two boxes."""
    width = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
    height = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) for face in (a, b)]
    return width * height / (sum(areas) - width * height)


def without_overlaps(faces: list[Face], iou: float) -> list[Face]:
    """Return the faces that no surer one overlaps by more than `iou`, the surest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(overlap(face, other) <= iou for other in kept):
            kept.append(face)
    return kept


def similarity(landmarks: tuple[tuple[float, float], ...]) -> Floats:
    """Return the 2 x 3 matrix (a -b c; b a d) from landmarks to PLACES with the least squared error.

    The same least squares as Umeyama's (1991), solved as ten linear equations in four unknowns.
    """
    equations, wanted = [], []
    for (x, y), (u, v) in zip(landmarks, PLACES, strict=True):
        equations += [[x, -y, 1.0, 0.0], [y, x, 0.0, 1.0]]
        wanted += [u, v]
    a, b, c, d = np.linalg.lstsq(np.array(equations), np.array(wanted), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def reduced(image_HWC: Picture, factor: int) -> Picture:
    """Return the mean of every factor x factor pixels, rounded; at the rim of those that are there."""
    height, width = image_HWC.shape[:2]
    small = np.empty((math.ceil(height / factor), math.ceil(width / factor), 3), np.uint8)
    for row in range(small.shape[0]):
        for column in range(small.shape[1]):
            block = image_HWC[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            for channel in range(3):
                small[row, column, channel] = math.floor(float(block[:, :, channel].mean()) + 0.5)
    return small


def sampled(image_HWC: Picture, x: float, y: float) -> tuple[int, int, int]:
    """Return the colour between four pixels, bilinear, cut off to whole levels; black outside all pixels."""
    height, width = image_HWC.shape[:2]
    if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
        return 0, 0, 0
    left, top = math.floor(x), math.floor(y)
    across, down = x - left, y - top
    columns = [min(max(left + step, 0), width - 1) for step in (0, 1)]
    rows = [min(max(top + step, 0), height - 1) for step in (0, 1)]
    colour = []
    for channel in range(3):
        upper = (1 - across) * int(image_HWC[rows[0], columns[0], channel])
        upper += across * int(image_HWC[rows[0], columns[1], channel])
        lower = (1 - across) * int(image_HWC[rows[1], columns[0], channel])
        lower += across * int(image_HWC[rows[1], columns[1], channel])
        colour.append(math.floor((1 - down) * upper + down * lower))
    return colour[0], colour[1], colour[2]


def crop(image_HWC: Picture, landmarks: tuple[tuple[float, float], ...]) -> Picture:
    """Return the upright face, 112 x 112: each of its pixels looked up where it lies in the picture.

    Where a pixel of the crop stands for two or more of the picture, these are averaged first, counted from
    the corner of the region that is needed (two averaged pixels around it).
    """
    (a, minus_b, c), (b, _, d) = similarity(landmarks)
    length = a * a + b * b

    def back(u: float, v: float) -> tuple[float, float]:
        return (a * (u - c) + b * (v - d)) / length, (minus_b * (u - c) + a * (v - d)) / length

    factor = max(1, math.floor(1 / math.sqrt(length)))
    corners = [back(u, v) for u in (0, CROP_PX - 1) for v in (0, CROP_PX - 1)]
    left = max(0, math.floor(min(x for x, _ in corners)) - 2 * factor)
    top = max(0, math.floor(min(y for _, y in corners)) - 2 * factor)
    right = math.ceil(max(x for x, _ in corners)) + 2 * factor + 1
    bottom = math.ceil(max(y for _, y in corners)) + 2 * factor + 1
    region = image_HWC[top:bottom, left:right]
    if factor > 1:
        region = reduced(region, factor)
    upright = np.empty((CROP_PX, CROP_PX, 3), np.uint8)
    for v in range(CROP_PX):
        for u in range(CROP_PX):
            x, y = back(u, v)
            upright[v, u] = sampled(region, (x - left + 0.5) / factor - 0.5, (y - top + 0.5) / factor - 0.5)
    return upright


def template(crop_HWC: Picture, embed: Network) -> Floats:
    """Return SFace's features of a crop (RGB, 0 to 255) divided by their length."""
    shown = np.empty((1, 3, CROP_PX, CROP_PX), np.float32)
    for channel in range(3):
        shown[0, channel] = crop_HWC[:, :, channel]
    features = [float(value) for value in embed(shown)["fc1"][0]]
    length = math.sqrt(sum(value * value for value in features))
    return np.array([value / length for value in features])


def per_crop(crop_HWC: Picture) -> Floats:
    """Return a crop at mean 0 and deviation 1, as FaceNet wants it, 3 x H x W; a plain one becomes zeros."""
    values = [float(value) for value in crop_HWC.reshape(-1)]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    scaled = (crop_HWC.astype(np.float64) - mean) / max(deviation, 1 / math.sqrt(len(values)))
    return scaled.transpose(2, 0, 1)
