"""The PyTorch path against a slow NumPy one, on real pictures, and against facenet_pytorch's own detection."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image

from libs.recognition.tests.facenet import slow_mtcnn
from libs.recognition.tests.pack_contract import off
from overt.recognition.detections import suppress
from overt.recognition.facenet import candidates
from overt.recognition.facenet.detector import MtcnnDetector
from overt.recognition.facenet.embedder import FacenetEmbedder
from overt.recognition.facenet.mtcnn import levels
from overt.recognition.pack import Pack

Photographs = Mapping[str, NDArray[np.uint8]]
pytestmark = pytest.mark.models


def as_function(network: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> slow_mtcnn.Network:
    def run(shown_NCHW: slow_mtcnn.Array) -> tuple[slow_mtcnn.Array, ...]:
        with torch.inference_mode():
            return tuple(out.double().numpy() for out in network(torch.from_numpy(shown_NCHW).float()))

    return run


@pytest.mark.parametrize(
    ("name", "region"), [("astronaut", (40, 210, 140, 310)), ("grace_hopper", (80, 350, 150, 380))]
)
def test_detection_agrees_with_numpy_on_real_pictures(
    pack: Pack, photographs: Photographs, name: str, region: tuple[int, int, int, int]
) -> None:
    top, bottom, left, right = region
    image_HWC = np.asarray(Image.fromarray(photographs[name][top:bottom, left:right]).resize((72, 75)))
    detector = pack.detector
    assert isinstance(detector, MtcnnDetector)
    p_net, r_net, o_net = (as_function(network) for network in detector.mtcnn.networks)

    fast = detector.detect(image_HWC)
    slow = slow_mtcnn.faces(
        image_HWC.transpose(2, 0, 1).astype(np.float64), (p_net, r_net, o_net), detector.score_threshold
    )

    assert len(fast) == len(slow) == 1
    box, points = slow[0]
    # Pixel middles against edges.
    assert np.allclose(fast.boxes_N4[0] + 0.5, box.sides, atol=1e-2)
    assert np.allclose(fast.landmarks_N52[0] + 0.5, points, atol=1e-2)
    assert np.isclose(fast.scores_N[0], box.score, atol=1e-3)


@pytest.mark.parametrize("size", [(250, 250), (540, 960), (21, 400), (19, 400), (20, 20), (1, 1)])
def test_the_pyramid_agrees_with_the_obvious_one(size: tuple[int, int]) -> None:
    assert levels(*size) == slow_mtcnn.pyramid(*size)
    assert (len(levels(*size)) > 0) == (min(size) >= 20)


def test_cuts_agree_with_numpy_inside_across_the_rim_and_outside(photographs: Photographs) -> None:
    image_HWC = photographs["astronaut"][:90, 180:280]
    image_CHW = image_HWC.transpose(2, 0, 1).astype(np.float64)
    squares = [
        [10.3, 20.7, 58.3, 68.7],
        [-13.0, -9.5, 30.0, 33.5],
        [60.0, 50.0, 150.0, 140.0],
        [5.0, 5.0, 15.0, 15.0],
    ]

    fast = candidates.cut(
        torch.from_numpy(image_CHW[np.newaxis]).float(),
        torch.tensor(squares),
        torch.zeros(len(squares), dtype=torch.long),
        24,
    ).numpy()

    for number, square in enumerate(squares):
        assert np.allclose(fast[number], slow_mtcnn.cut(image_CHW, square, 24), atol=1e-3 * 255)


@pytest.mark.parametrize("seed", range(5))
def test_cells_and_choices_agree_with_the_slow_obvious_way(seed: int) -> None:
    random = np.random.default_rng(seed)
    moves_4HW, score_HW = random.normal(0, 0.1, (4, 20, 30)), random.uniform(0, 0.7, (20, 30))

    fast = candidates.cells(
        torch.from_numpy(moves_4HW[np.newaxis]).float(),
        torch.from_numpy(score_HW[np.newaxis]).float(),
        0.6,
        (1.7, 2.3),
    )
    slow = slow_mtcnn.cells(moves_4HW, score_HW, 1.7, 2.3)
    # Not 0.5: cells two columns apart overlap by exactly that, and rounding would decide.
    kept, slow_kept = candidates.thinned(fast, 0.45, 1000), slow_mtcnn.thinned(slow, 0.45)

    assert len(fast) == len(slow) > len(kept) == len(slow_kept) > 10
    assert np.allclose(fast.boxes_N4, [box.sides for box in slow], atol=1e-3)
    assert np.allclose(kept.boxes_N4, [box.sides for box in slow_kept], atol=1e-3)
    assert np.allclose(candidates.moved(kept), [slow_mtcnn.moved(box) for box in slow_kept], atol=1e-3)
    assert np.allclose(
        candidates.squared(kept.boxes_N4), [slow_mtcnn.squared(box.sides) for box in slow_kept], atol=1e-3
    )
    inside = suppress(fast.boxes_N4.numpy(), fast.scores_N.numpy().astype(np.float32), 0.7, over="smaller")
    slow_inside = slow_mtcnn.thinned(slow, 0.7, slow_mtcnn.smaller_share)
    assert np.allclose(fast.boxes_N4.numpy()[inside], [box.sides for box in slow_inside], atol=1e-3)


def test_no_picture_gives_more_candidates_than_it_may() -> None:
    boxes_N4 = torch.arange(40).float()[:, None] * 20 + torch.tensor([0.0, 0.0, 10.0, 10.0])
    many = candidates.Candidates(boxes_N4, boxes_N4 * 0, torch.linspace(0, 1, 40), torch.arange(40) % 2)

    kept = candidates.thinned(many, 0.5, 7)

    assert torch.bincount(kept.picture_N).tolist() == [7, 7]
    assert kept.scores_N.min() > 0.6


def test_faces_are_where_facenet_pytorch_itself_finds_them(pack: Pack, photographs: Photographs) -> None:
    """Its own way between the networks rounds to whole pixels: equal up to that."""
    theirs = MTCNN(keep_all=True)
    for name in ("astronaut", "grace_hopper"):
        boxes, _, points = theirs.detect(Image.fromarray(photographs[name]), landmarks=True)

        (ours,) = (pack.detector.detect(photographs[name]),)

        assert len(boxes) == len(ours) == 1
        assert slow_mtcnn.union_share(boxes[0], ours.boxes_N4[0]) > 0.85
        assert off(ours.landmarks_N52[0], points[0].astype(np.float32)) < 0.1


def test_templates_agree_with_numpy_around_the_network(pack: Pack, photographs: Photographs) -> None:
    image_HWC = photographs["astronaut"]
    crop_HWC = pack.aligner.crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])
    plain_HWC = np.full_like(crop_HWC, 90)
    embedder = pack.embedder
    assert isinstance(embedder, FacenetEmbedder)

    templates_ND = embedder.embed(np.stack([crop_HWC, plain_HWC]))

    for crop, template_D in zip((crop_HWC, plain_HWC), templates_ND, strict=True):
        values = crop.astype(np.float64)
        deviation = max(values.std(), 1 / np.sqrt(values.size))
        shown_NCHW = ((values - values.mean()) / deviation).transpose(2, 0, 1)[np.newaxis]
        (features_D,) = as_function(lambda shown: (embedder.network(shown),))(shown_NCHW)[0]
        assert np.allclose(template_D, features_D / np.linalg.norm(features_D), atol=1e-3)
