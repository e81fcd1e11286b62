"""A contender of crowd.py: OpenCV's FaceDetectorYN and FaceRecognizerSF, every face embedded.

The frame is shown to the detector at a given width and the faces are cut from the whole frame. The two models
are the `cpu` pack's own files; the score threshold is the pack's too (0.6, OpenCV's default of 0.9 finds fewer).
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crowd_result import Stopwatch, write

# Not a dependency: it is there for whoever measures it.
cv2: Any = importlib.import_module("cv2")

SCORE, NMS_IOU, MOST = 0.6, 0.3, 5000


def main() -> None:
    """Measure once."""
    clip, out, models, width = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    recogniser = cv2.FaceRecognizerSF.create(str(models / "sface_2021dec.onnx"), "")
    detector = cv2.FaceDetectorYN.create(
        str(models / "yunet_2023mar.onnx"), "", (width, width), SCORE, NMS_IOU, MOST
    )
    watch, frames, templates = Stopwatch(), [], 0
    capture = cv2.VideoCapture(str(clip))
    while True:
        there, frame_HWC = capture.read()
        if not there:
            break
        watch.start()
        scale = frame_HWC.shape[1] / width
        size_px = (width, round(frame_HWC.shape[0] / scale))
        detector.setInputSize(size_px)
        _, faces = detector.detect(cv2.resize(frame_HWC, size_px) if scale != 1 else frame_HWC)
        rows = []
        for face in np.empty((0, 15), np.float32) if faces is None else faces:
            face[:14] *= scale
            recogniser.feature(recogniser.alignCrop(frame_HWC, face))
            templates += 1
            left, top, across, down = face[:4].tolist()
            rows.append([left, top, left + across, top + down, *face[4:].tolist(), 1.0])
        frames.append(rows)
    watch.stop()
    write(out, watch, frames, templates=templates)


if __name__ == "__main__":
    main()
