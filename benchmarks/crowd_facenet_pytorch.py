"""A contender of crowd.py: facenet-pytorch as its README uses it, MTCNN on the whole frame, every face embedded.

    mtcnn = MTCNN(keep_all=True); resnet = InceptionResnetV1().eval(); resnet(mtcnn(frame))

Its three steps are called one by one, because `mtcnn(frame)` keeps the boxes to itself. The embedder's weights
are random: the published ones are downloaded at first use, speed is the same, and the templates are thrown away.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import av
from PIL import Image

from benchmarks.crowd_result import Stopwatch, write

# Not dependencies of every install: they are there for whoever measures them.
torch: Any = importlib.import_module("torch")
facenet_pytorch: Any = importlib.import_module("facenet_pytorch")


def main() -> None:
    """Measure once."""
    clip, out = (Path(argument) for argument in sys.argv[1:3])
    mtcnn = facenet_pytorch.MTCNN(keep_all=True)
    resnet = facenet_pytorch.InceptionResnetV1().eval()
    watch, frames, templates = Stopwatch(), [], 0
    with av.open(str(clip)) as container, torch.no_grad():
        for decoded in container.decode(video=0):
            watch.start()
            frame = Image.fromarray(decoded.to_ndarray(format="rgb24"))
            boxes, scores, landmarks = mtcnn.detect(frame, landmarks=True)
            faces = mtcnn.extract(frame, boxes, None)
            rows = []
            if faces is not None:
                templates += len(resnet(faces))
                rows = [
                    [*map(float, box), *map(float, points.ravel()), float(score), 1.0]
                    for box, score, points in zip(boxes, scores, landmarks, strict=True)
                ]
            frames.append(rows)
    watch.stop()
    write(out, watch, frames, templates=templates)


if __name__ == "__main__":
    main()
