"""Finds faces and their five landmarks in pictures with MTCNN in PyTorch.

Coordinates are pixel indices: the middle of the first pixel is (0, 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from overt.recognition.detections import LONGEST_SIDE_PX, Detections, Floats, nothing, require_rgb, suppress
from overt.recognition.facenet.mtcnn import Mtcnn
from overt.recognition.facenet.recipe import MAX_FACES
from overt.recognition.resizing import enlarged, of_one_size, shrunk

# Pictures of one size shown together: a batch brings nothing on a CPU and costs memory there.
BATCH_ON_CPU, BATCH_ON_GPU = 1, 8


@dataclass(frozen=True, slots=True)
class MtcnnDetector:
    """Finds faces. Safe to share between threads: the networks are only read.

    nms_iou: share of the smaller box that two faces may have in common.
    """

    mtcnn: Mtcnn
    colours: str
    score_threshold: float
    nms_iou: float

    def with_score(self, score_threshold: float) -> "MtcnnDetector":
        """Return the same networks, asked for the faces at or above another score."""
        return replace(self, score_threshold=score_threshold)

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
            index: shrunk(image_HWC, longest_side_px, longest_side_px)
            for index, image_HWC in enumerate(images)
            if min(image_HWC.shape[:2]) > 0
        }
        found = [nothing() for _ in images]
        on_cpu = self.mtcnn.place.device.type == "cpu"
        for indices in of_one_size(small, BATCH_ON_CPU if on_cpu else BATCH_ON_GPU):
            for index, faces in zip(indices, self._run([small[i] for i in indices]), strict=True):
                found[index] = enlarged(faces, small[index].shape, images[index].shape)
        return found

    def _run(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Return the faces of pictures of one size, in their own pixels."""
        shown_BHWC = np.stack(images)
        if self.colours == "BGR":
            shown_BHWC = shown_BHWC[..., ::-1].copy()
        with torch.inference_mode():
            images_BHWC = torch.from_numpy(shown_BHWC).to(self.mtcnn.place.device)
            images_BCHW = images_BHWC.permute(0, 3, 1, 2).float().contiguous()
            faces, points_N52 = self.mtcnn.faces(images_BCHW, self.score_threshold)
        boxes_N4, points, scores_N, picture_N = (
            tensor.cpu().numpy() for tensor in (faces.boxes_N4, points_N52, faces.scores_N, faces.picture_N)
        )
        return [
            self._surest(boxes_N4[own], points[own], scores_N[own])
            for own in (picture_N == number for number in range(len(images)))
        ]

    def _surest(self, boxes_N4: Floats, landmarks_N52: Floats, scores_N: Floats) -> Detections:
        kept = suppress(boxes_N4, scores_N, self.nms_iou, over="smaller")[:MAX_FACES]
        half = np.float32(0.5)  # from edges to pixel indices
        return Detections(boxes_N4[kept] - half, landmarks_N52[kept] - half, scores_N[kept])
