"""Finds faces and their five landmarks in pictures with a network in ONNX Runtime (by default YuNet, Wu et al. 2023).

Coordinates are pixel indices: the middle of the first pixel is (0, 0).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from overt.recognition.detections import (
    LONGEST_SIDE_PX,
    Detections,
    FaceDetector,
    Floats,
    nothing,
    require_rgb,
    suppress,
    to_scale,
)
from overt.recognition.layouts import DECODERS, SCRFD_ANCHORS, STRIDES_PX
from overt.recognition.resizing import enlarged, of_one_size, resize_rule, shrunk

__all__ = ["LONGEST_SIDE_PX", "Detections", "Detector", "DetectorOptions", "FaceDetector", "to_scale"]

# Faces that one picture may have; the network's noise on a pathological picture must not cost seconds.
MAX_FACES = 750


class Session(Protocol):
    """The one call of ONNX Runtime's InferenceSession that is used."""

    def run(self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]) -> list[Floats]:
        """Return the named outputs."""


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """What the network wants to see and how its answer is read; see `pack_spec.DetectorTable`.

    batch: pictures of one size that are shown to the network together at most.
    """

    layout: str = "yunet"
    outputs: tuple[str, ...] = ()
    input: str = "input"
    colours: str = "BGR"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    multiple_px: int = 32
    input_size_px: tuple[int, int] | None = None
    score_threshold: float = 0.6
    nms_iou: float = 0.3
    batch: int = 1


class Detector:
    """Finds faces. Safe to share between threads, as ONNX Runtime's sessions are."""

    def __init__(self, session: Session, options: DetectorOptions | None = None) -> None:
        self._session = session
        self._options = options or DetectorOptions()
        names, self._decode = DECODERS[self._options.layout]
        self._known_as = names()
        self._outputs = list(self._options.outputs or self._known_as)

    def with_score(self, score_threshold: float) -> "Detector":
        """Return the same network, asked for the faces at or above another score."""
        return Detector(self._session, replace(self._options, score_threshold=score_threshold))

    def detect(self, image_HWC: NDArray[np.uint8], *, longest_side_px: int = LONGEST_SIDE_PX) -> Detections:
        """Return the faces of an RGB picture, seen at `longest_side_px` (it is never enlarged).

        A picture that is no larger than that is not resized. Raises ValueError for another shape or type.
        """
        return self.detect_batch([image_HWC], longest_side_px=longest_side_px)[0]

    def detect_batch(
        self, images: Sequence[NDArray[np.uint8]], *, longest_side_px: int = LONGEST_SIDE_PX
    ) -> list[Detections]:
        """Return the faces of each picture, as `detect` would; pictures of one size go in together."""
        for image_HWC in images:
            require_rgb(image_HWC)
        small = {
            index: shrunk(image_HWC, *self._field_px(longest_side_px))
            for index, image_HWC in enumerate(images)
            if min(image_HWC.shape[:2]) > 0
        }
        found = [nothing() for _ in images]
        for indices in of_one_size(small, self._options.batch):
            for index, faces in zip(indices, self._run([small[i] for i in indices]), strict=True):
                found[index] = enlarged(faces, small[index].shape, images[index].shape)
        return found

    def _field_px(self, longest_side_px: int) -> tuple[int, int]:
        """Return the width and height that a picture must fit in."""
        fixed = self._options.input_size_px
        return fixed or (longest_side_px, longest_side_px)

    def _run(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Return the faces of pictures of one size, in their own pixels."""
        blobs_NCHW = np.concatenate([self._blob(image_HWC) for image_HWC in images])
        arrays = self._session.run(self._outputs, {self._options.input: blobs_NCHW})
        found = []
        for number in range(len(images)):
            maps = {
                name: _of_picture(array, number, len(images))
                for name, array in zip(self._known_as, arrays, strict=True)
            }
            faces = self._decode(maps, blobs_NCHW.shape[3], self._options.score_threshold)
            kept = suppress(faces.boxes_N4, faces.scores_N, self._options.nms_iou)[:MAX_FACES]
            found.append(Detections(faces.boxes_N4[kept], faces.landmarks_N52[kept], faces.scores_N[kept]))
        return found

    def _blob(self, image_HWC: NDArray[np.uint8]) -> Floats:
        """Return 1 x 3 x H x W in the network's colours and range, padded with 0 right and below."""
        options = self._options
        height, width = image_HWC.shape[:2]
        multiple = options.multiple_px
        padded = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
        if options.input_size_px is not None:
            padded = options.input_size_px[::-1]
        blob_NCHW = np.zeros((1, 3, *padded), np.float32)
        ordered_HWC = image_HWC[:, :, ::-1] if options.colours == "BGR" else image_HWC
        shown_CHW = blob_NCHW[0, :, :height, :width]
        shown_CHW[:] = ordered_HWC.transpose(2, 0, 1)
        if any(options.mean):
            shown_CHW -= np.array(options.mean, np.float32)[:, None, None]
        if options.scale != 1.0:
            shown_CHW *= np.float32(options.scale)
        return blob_NCHW


def detection_constants(layout: str) -> Mapping[str, object]:
    """Return what landmarks depend on besides the pack's own file."""
    of_all = {
        "strides_px": list(STRIDES_PX),
        "resize": f"{resize_rule()}; padded with 0",
        "max_faces": MAX_FACES,
    }
    return of_all | {"anchors": SCRFD_ANCHORS} if layout == "scrfd" else of_all


def _of_picture(array: Floats, number: int, pictures: int) -> Floats:
    """Return one picture's part of an output; networks for one picture alone may lack the first axis."""
    return array[number : number + 1] if pictures > 1 else array
