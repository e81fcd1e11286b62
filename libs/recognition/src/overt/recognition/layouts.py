"""How the outputs of a detection network are read: a function a layout, from anchors to faces."""

from collections.abc import Callable, Mapping

import numpy as np

from overt.recognition.detections import Detections, Floats

STRIDES_PX = (8, 16, 32)
# SCRFD has two anchors in each cell.
SCRFD_ANCHORS = 2

Maps = Mapping[str, Floats]
Decode = Callable[[Maps, int, float], Detections]


def yunet_outputs() -> tuple[str, ...]:
    """Return the names that YuNet's outputs have, and the names by which `decode_yunet` knows them."""
    return tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES_PX)


def scrfd_outputs() -> tuple[str, ...]:
    """Return the names by which `decode_scrfd` knows the outputs; in a file they are often numbers."""
    return tuple(f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in STRIDES_PX)


def decode_yunet(maps: Maps, width_px: int, score_threshold: float) -> Detections:
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


def decode_scrfd(maps: Maps, width_px: int, score_threshold: float) -> Detections:
    """Return every anchor at or above the threshold as a face, before suppression.

    Scores are as they come out. Boxes are distances to the four sides and landmarks offsets, both from the
    anchor's cell corner and in strides (SCRFD, Guo et al. 2021).
    """
    boxes, landmarks, scores = [], [], []
    for stride in STRIDES_PX:
        score_A = maps[f"score_{stride}"].reshape(-1)
        chosen_K = np.flatnonzero(score_A >= score_threshold)
        cells_K = chosen_K // SCRFD_ANCHORS
        corner_K2 = np.column_stack(np.divmod(cells_K, width_px // stride)[::-1]).astype(np.float32)
        sides_K4 = maps[f"bbox_{stride}"].reshape(-1, 4)[chosen_K]
        offsets_K52 = maps[f"kps_{stride}"].reshape(-1, 5, 2)[chosen_K]
        boxes.append(np.hstack([corner_K2 - sides_K4[:, :2], corner_K2 + sides_K4[:, 2:]]) * stride)
        landmarks.append((corner_K2[:, None] + offsets_K52) * stride)
        scores.append(score_A[chosen_K])
    return Detections(
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(landmarks).astype(np.float32),
        np.concatenate(scores).astype(np.float32),
    )


DECODERS: Mapping[str, tuple[Callable[[], tuple[str, ...]], Decode]] = {
    "yunet": (yunet_outputs, decode_yunet),
    "scrfd": (scrfd_outputs, decode_scrfd),
}
