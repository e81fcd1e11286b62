"""A contender of crowd.py: facenet-pytorch as its README uses it, MTCNN on the whole frame, every face embedded.

    mtcnn = MTCNN(keep_all=True); resnet = InceptionResnetV1(pretrained=...).eval(); resnet(mtcnn(frame))

Its three steps are called one by one, because `mtcnn(frame)` keeps the boxes to itself. The published weights
are downloaded at first use; here the network has those of the pack `facenet` (128 values instead of 512, the
layers before are the same). Random ones would not do: what they compute vanishes, and a CPU is ten times as slow
with numbers that small. The templates are thrown away.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import av
from PIL import Image

from benchmarks.crowd_result import Stopwatch, write
from overt.recognition.pack_spec import read_spec
from overt.recognition.weights import read_weights

# Not dependencies of every install: they are there for whoever measures them.
torch: Any = importlib.import_module("torch")
facenet_pytorch: Any = importlib.import_module("facenet_pytorch")
networks: Any = importlib.import_module("overt.recognition.facenet.networks")


def pretrained(models: Path) -> Any:
    """Return Inception-ResNet-v1 with real weights."""
    table = read_spec("facenet")[0].embedder
    (file,) = table.files
    return networks.filled(
        networks.inception_resnet(table.dimension), read_weights((models,), file), file.file
    ).eval()


def main() -> None:
    """Measure once."""
    clip, out, models = (Path(argument) for argument in sys.argv[1:4])
    mtcnn = facenet_pytorch.MTCNN(keep_all=True)
    resnet = pretrained(models)
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
