"""Pictures go the fast way and the slow one of `slow_numpy`, and both must come to the same within 1e-3."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from PIL import Image

from overt.recognition.detections import Detections
from overt.recognition.detector import Detector
from overt.recognition.embedder import Embedder, standardised
from overt.recognition.layouts import yunet_outputs
from overt.recognition.models import SFACE, YUNET
from overt.recognition.pack import Pack

from . import slow_numpy
from .slow_numpy import Face, Network, Picture

Photographs = Mapping[str, Picture]
NAMES = ("obama", "obama2", "obama3", "biden", "astronaut", "grace_hopper")
TOLERANCE = 1e-3
NMS_IOU = 0.3
SCORE = 0.6


def onnx_runtime(part: Detector | Embedder, input_name: str, outputs: tuple[str, ...]) -> Network:
    """The network alone in ONNX Runtime, without anything before or after it."""

    def run(shown_NCHW: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        arrays = part._session.run(list(outputs), {input_name: shown_NCHW})
        return dict(zip(outputs, arrays, strict=True))

    return run


def onnx_reference(path: Path, input_name: str) -> Network:
    """The network in the onnx package's own NumPy, operator by operator."""
    model = onnx.load(path)
    evaluator = ReferenceEvaluator(model)
    names = [output.name for output in model.graph.output]

    def run(shown_NCHW: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        return dict(zip(names, evaluator.run(None, {input_name: shown_NCHW}), strict=True))

    return run


def seen_at(image_HWC: Picture, longest_px: int) -> Picture:
    """The photograph no larger than that: nothing is left for the detector to resize."""
    picture = Image.fromarray(image_HWC)
    picture.thumbnail((longest_px, longest_px), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def slow_faces(image_HWC: Picture, network: Network) -> list[Face]:
    shown = slow_numpy.blob(image_HWC)
    return slow_numpy.without_overlaps(slow_numpy.decoded(network(shown), shown.shape[3], SCORE), NMS_IOU)


def assert_same(fast: Detections, slow: list[Face]) -> None:
    assert len(fast) == len(slow) > 0
    assert np.allclose(fast.boxes_N4, [face.box for face in slow], rtol=0, atol=TOLERANCE)
    assert np.allclose(fast.landmarks_N52, [face.landmarks for face in slow], rtol=0, atol=TOLERANCE)
    assert np.allclose(fast.scores_N, [face.score for face in slow], rtol=0, atol=TOLERANCE)


@pytest.mark.models
@pytest.mark.parametrize("name", NAMES)
def test_a_photograph_comes_to_the_same_faces_crop_and_template_as_in_slow_numpy(
    name: str, photographs: Photographs, pack: Pack
) -> None:
    assert isinstance(pack.detector, Detector)
    assert isinstance(pack.embedder, Embedder)
    image_HWC = seen_at(photographs[name], 640)

    fast = pack.detector.detect(image_HWC)
    fast_crop_HWC = pack.aligner.crop(image_HWC, fast.landmarks_N52[0])
    fast_template_D = pack.embedder.embed(fast_crop_HWC[None])[0]

    slow = slow_faces(image_HWC, onnx_runtime(pack.detector, "input", yunet_outputs()))
    slow_crop_HWC = slow_numpy.crop(image_HWC, slow[0].landmarks)
    slow_template_D = slow_numpy.template(slow_crop_HWC, onnx_runtime(pack.embedder, "data", ("fc1",)))
    assert_same(fast, slow)
    # Both end in whole levels; a value that hardly reaches one may fall on either side.
    difference_HWC = np.abs(fast_crop_HWC.astype(int) - slow_crop_HWC)
    assert difference_HWC.max() <= 1
    assert np.mean(difference_HWC > 0) < 0.002
    assert np.abs(fast_template_D - slow_template_D).max() < TOLERANCE


@pytest.mark.models
def test_faces_many_times_as_large_as_the_crop_are_averaged_first_as_in_slow_numpy(
    photographs: Photographs, pack: Pack
) -> None:
    image_HWC = photographs["grace_hopper"]
    landmarks_52 = pack.detector.detect(image_HWC).landmarks_N52[0]
    eyes_px = float(np.linalg.norm(landmarks_52[1] - landmarks_52[0]))
    times = 3.2 * 35.2 / eyes_px  # 35.2: what the template leaves between the eyes
    large_HWC = np.asarray(
        Image.fromarray(image_HWC).resize(
            (round(image_HWC.shape[1] * times), round(image_HWC.shape[0] * times))
        )
    )
    placed_52 = landmarks_52 * times

    fast_HWC = pack.aligner.crop(large_HWC, placed_52)

    slow_HWC = slow_numpy.crop(large_HWC, tuple(map(tuple, placed_52.tolist())))
    assert np.abs(fast_HWC.astype(int) - slow_HWC).max() <= 1
    assert np.mean(fast_HWC != slow_HWC) < 0.002


@pytest.mark.models
def test_a_face_at_the_rim_of_the_picture_is_black_outside_as_in_slow_numpy(
    photographs: Photographs, pack: Pack
) -> None:
    image_HWC = seen_at(photographs["biden"], 640)
    landmarks_52 = pack.detector.detect(image_HWC).landmarks_N52[0]
    cut = int(landmarks_52[0, 0])  # through the right eye
    rim_HWC, placed_52 = image_HWC[:, cut:], landmarks_52 - (cut, 0)

    fast_HWC = pack.aligner.crop(rim_HWC, placed_52)

    slow_HWC = slow_numpy.crop(rim_HWC, tuple(map(tuple, placed_52.tolist())))
    assert (slow_HWC[:, :20] == 0).all()
    assert np.abs(fast_HWC.astype(int) - slow_HWC).max() <= 1


@pytest.mark.models
def test_yunet_finds_the_same_face_in_onnx_runtime_as_in_the_reference_of_onnx(
    photographs: Photographs, pack: Pack, models_dir: Path
) -> None:
    image_HWC = seen_at(photographs["astronaut"], 160)
    network = onnx_reference(models_dir / YUNET.prepared.file, "input")

    fast = pack.detector.detect(image_HWC)

    assert_same(fast, slow_faces(image_HWC, network))


@pytest.mark.models
def test_sface_makes_the_same_template_in_onnx_runtime_as_in_the_reference_of_onnx(
    photographs: Photographs, pack: Pack, models_dir: Path
) -> None:
    image_HWC = photographs["obama"]
    crop_HWC = pack.aligner.crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])

    fast_D = pack.embedder.embed(crop_HWC[None])[0]

    slow_D = slow_numpy.template(crop_HWC, onnx_reference(models_dir / SFACE.prepared.file, "data"))
    assert np.abs(fast_D - slow_D).max() < TOLERANCE


@pytest.mark.models
def test_a_crop_is_standardised_as_in_slow_numpy(photographs: Photographs, pack: Pack) -> None:
    image_HWC = photographs["obama2"]
    crop_HWC = pack.aligner.crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])
    plain_HWC = np.full_like(crop_HWC, 90)
    crops_NHWC = np.stack([crop_HWC, plain_HWC])

    fast_NCHW = standardised(crops_NHWC.transpose(0, 3, 1, 2).astype(np.float32))

    slow_NCHW = np.stack([slow_numpy.per_crop(crop_HWC) for crop_HWC in crops_NHWC])
    assert np.abs(fast_NCHW - slow_NCHW).max() < TOLERANCE
