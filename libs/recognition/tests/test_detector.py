import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from overt.recognition.detector import Detections, Detector, decode, suppress
from overt.recognition.pack import Pack

Photographs = Mapping[str, NDArray[np.uint8]]
STRIDES = (8, 16, 32)


def random_maps(seed: int, height: int, width: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    maps = {}
    for stride in STRIDES:
        anchors = (height // stride) * (width // stride)
        for kind, values in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            maps[f"{kind}_{stride}"] = random.uniform(-0.2, 1.2, (1, anchors, values)).astype(np.float32)
    return maps


def slow_decode(
    maps: Mapping[str, NDArray[np.float32]], width: int, threshold: float
) -> list[tuple[float, ...]]:
    """One anchor at a time, as OpenCV's FaceDetectorYN does it."""
    found = []
    for stride in STRIDES:
        columns = width // stride
        for anchor in range(maps[f"cls_{stride}"].shape[1]):
            row, column = anchor // columns, anchor % columns
            cls = min(max(float(maps[f"cls_{stride}"][0, anchor, 0]), 0.0), 1.0)
            obj = min(max(float(maps[f"obj_{stride}"][0, anchor, 0]), 0.0), 1.0)
            score = math.sqrt(cls * obj)
            if score < threshold:
                continue
            dx, dy, log_w, log_h = (float(value) for value in maps[f"bbox_{stride}"][0, anchor])
            x, y = (column + dx) * stride, (row + dy) * stride
            w, h = math.exp(log_w) * stride, math.exp(log_h) * stride
            points = []
            for number in range(5):
                points.append((float(maps[f"kps_{stride}"][0, anchor, 2 * number]) + column) * stride)
                points.append((float(maps[f"kps_{stride}"][0, anchor, 2 * number + 1]) + row) * stride)
            found.append((score, x - w / 2, y - h / 2, x + w / 2, y + h / 2, *points))
    return found


def slow_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    common = width * height
    return float(common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common))


def test_decoding_agrees_with_the_slow_obvious_way() -> None:
    maps = random_maps(1, 96, 160)

    fast = decode(maps, 160, 0.8)

    slow = np.array(slow_decode(maps, 160, 0.8))
    assert len(fast) == len(slow) > 10
    assert np.allclose(fast.scores_N, slow[:, 0], atol=1e-5)
    assert np.allclose(fast.boxes_N4, slow[:, 1:5], atol=1e-3)
    assert np.allclose(fast.landmarks_N52.reshape(-1, 10), slow[:, 5:], atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 30))
def test_suppression_agrees_with_the_slow_obvious_way(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    low_N2, size_N2 = random.uniform(0, 60, (count, 2)), random.uniform(5, 40, (count, 2))
    boxes_N4 = np.concatenate([low_N2, low_N2 + size_N2], axis=1).astype(np.float32)
    scores_N = random.permutation(count).astype(np.float32)

    kept = suppress(boxes_N4, scores_N, 0.3).tolist()

    slow: list[int] = []
    for index in sorted(range(count), key=lambda index: -scores_N[index]):
        if all(slow_iou(boxes_N4[index], boxes_N4[other]) <= 0.3 for other in slow):
            slow.append(index)
    assert kept == slow


def test_faces_scale_about_the_middle_of_the_pixels_and_back() -> None:
    box = np.array([[0.0, 0.0, 9.0, 9.0]], np.float32)
    faces = Detections(box, np.zeros((1, 5, 2), np.float32), np.ones(1, np.float32))

    doubled = faces.scaled(2.0)

    assert doubled.boxes_N4.tolist() == [[0.5, 0.5, 18.5, 18.5]]
    assert np.allclose(doubled.scaled(0.5).boxes_N4, box)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"landmarks_N52 is float32 \(2, 5, 2\), expected float32 \(1, 5, 2\)"
    ):
        Detections(np.zeros((1, 4), np.float32), np.zeros((2, 5, 2), np.float32), np.ones(1, np.float32))


class Blind:
    """Stands in for the network: remembers what it was shown, finds nothing."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def run(
        self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        height, width = input_feed["input"].shape[2:]
        self.shown.append(input_feed["input"].shape)
        maps = {name: values * 0 for name, values in random_maps(0, height, width).items()}
        return [maps[name] for name in output_names]


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((1080, 1920), (1, 3, 544, 960)),
        ((540, 960), (1, 3, 544, 960)),
        ((2333, 1434), (1, 3, 960, 608)),
        ((33, 20), (1, 3, 64, 32)),
        ((1, 5000), (1, 3, 32, 960)),
    ],
)
def test_a_picture_is_shrunk_to_the_longest_side_and_padded_never_enlarged(
    size: tuple[int, int], seen: tuple[int, ...]
) -> None:
    network = Blind()

    found = Detector(network).detect(np.zeros((*size, 3), np.uint8))

    assert len(found) == 0
    assert network.shown == [seen]


def test_an_empty_picture_has_no_faces_and_another_shape_or_type_is_refused() -> None:
    detector = Detector(Blind())

    assert len(detector.detect(np.zeros((0, 10, 3), np.uint8))) == 0
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            detector.detect(wrong)  # type: ignore[arg-type]


@pytest.mark.models
def test_each_portrait_has_one_face_with_landmarks_where_they_belong(
    pack: Pack, photographs: Photographs
) -> None:
    for name, image_HWC in photographs.items():
        found = pack.detector.detect(image_HWC)
        assert len(found) == 1, name
        left, top, right, bottom = found.boxes_N4[0]
        right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks_N52[0]
        assert left < right_eye[0] < nose[0] < left_eye[0] < right
        assert top < right_eye[1] < nose[1] < right_mouth[1] < bottom
        assert right_mouth[0] < left_mouth[0]


@pytest.mark.models
def test_a_picture_decoded_at_half_size_gives_the_same_faces_in_full_size_pixels(
    pack: Pack, photographs: Photographs
) -> None:
    image_HWC = photographs["biden"][:1200, :960]
    half_HWC = np.asarray(Image.fromarray(image_HWC).reduce(2))

    whole = pack.detector.detect(image_HWC, longest_side_px=1200)
    halved = pack.detector.detect_scaled(half_HWC, 2.0)

    assert len(whole) == len(halved) == 1
    assert np.abs(whole.landmarks_N52 - halved.landmarks_N52).max() < 12  # of a face 280 px wide
    assert np.abs((whole.landmarks_N52 - halved.landmarks_N52).mean()) < 3


@pytest.mark.models
def test_noise_and_plain_colour_have_no_face(pack: Pack) -> None:
    random = np.random.default_rng(0)
    for image_HWC in (
        np.full((270, 480, 3), 128, np.uint8),
        random.integers(0, 255, (270, 480, 3), np.uint8),
    ):
        assert len(pack.detector.detect(image_HWC)) == 0
