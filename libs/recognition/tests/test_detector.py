import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overt.recognition.detections import Detections, suppress
from overt.recognition.detector import Detector, DetectorOptions
from overt.recognition.layouts import decode_scrfd, decode_yunet, scrfd_outputs
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

    fast = decode_yunet(maps, 160, 0.8)

    slow = np.array(slow_decode(maps, 160, 0.8))
    assert len(fast) == len(slow) > 10
    assert np.allclose(fast.scores_N, slow[:, 0], atol=1e-5)
    assert np.allclose(fast.boxes_N4, slow[:, 1:5], atol=1e-3)
    assert np.allclose(fast.landmarks_N52.reshape(-1, 10), slow[:, 5:], atol=1e-3)


def test_scrfd_is_decoded_as_distances_from_the_corners_of_cells_two_anchors_each() -> None:
    """One anchor at a time, from the definition: sides and landmarks in strides from the cell's corner."""
    random = np.random.default_rng(3)
    height, width, wanted = 96, 160, []
    maps = {}
    for stride in STRIDES:
        anchors = (height // stride) * (width // stride) * 2
        for kind, values in (("score", 1), ("bbox", 4), ("kps", 10)):
            maps[f"{kind}_{stride}"] = random.uniform(0, 1, (anchors, values)).astype(np.float32)
        for anchor in range(anchors):
            row, column = divmod(anchor // 2, width // stride)
            if maps[f"score_{stride}"][anchor, 0] >= 0.9:
                left, top, right, bottom = maps[f"bbox_{stride}"][anchor]
                wanted.append(
                    [(column - left), (row - top), (column + right), (row + bottom)]
                    + [
                        (row if place % 2 else column) + value
                        for place, value in enumerate(maps[f"kps_{stride}"][anchor])
                    ]
                )
                wanted[-1] = [float(value) * stride for value in wanted[-1]]

    found = decode_scrfd(maps, width, 0.9)

    assert tuple(maps) != scrfd_outputs()
    assert set(maps) == set(scrfd_outputs())
    assert len(wanted) > 10
    assert np.allclose(np.hstack([found.boxes_N4, found.landmarks_N52.reshape(-1, 10)]), wanted, atol=1e-3)


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
        self.blobs: list[NDArray[np.float32]] = []

    def run(
        self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        height, width = input_feed["input"].shape[2:]
        self.shown.append(input_feed["input"].shape)
        self.blobs.append(input_feed["input"])
        pictures = len(input_feed["input"])
        maps = {
            name: np.repeat(values * 0, pictures, axis=0)
            for name, values in random_maps(0, height, width).items()
        }
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


def test_pictures_of_one_size_are_shown_together_and_come_back_in_their_order() -> None:
    network = Blind()
    pictures = [np.zeros((*size, 3), np.uint8) for size in ((32, 64), (96, 32), (32, 64), (0, 5), (32, 64))]

    found = Detector(network, DetectorOptions(batch=2)).detect_batch(pictures)

    assert [len(faces) for faces in found] == [0] * 5
    assert network.shown == [(2, 3, 32, 64), (1, 3, 32, 64), (1, 3, 96, 32)]


def test_a_network_of_fixed_size_sees_that_size_in_its_own_colours_and_range() -> None:
    network = Blind()
    options = DetectorOptions(
        colours="RGB", mean=(127.5, 127.5, 127.5), scale=1 / 128, input_size_px=(96, 64)
    )
    picture_HWC = np.zeros((320, 320, 3), np.uint8)
    picture_HWC[...] = (255, 127, 0)

    Detector(network, options).detect(picture_HWC, longest_side_px=320)

    (blob_NCHW,) = network.blobs
    assert blob_NCHW.shape == (1, 3, 64, 96)
    assert np.allclose(blob_NCHW[0, :, 10, 10], [127.5 / 128, -0.5 / 128, -127.5 / 128])
    assert not blob_NCHW[:, :, :, 64:].any()  # the padding, in the network's range


@pytest.mark.models
def test_a_batch_finds_what_one_at_a_time_does(pack: Pack, photographs: Photographs) -> None:
    detector = pack.detector
    assert isinstance(detector, Detector)
    together = Detector(detector._session, DetectorOptions(batch=4))
    man = photographs["obama"]
    pictures = [man, photographs["biden"], man[:, ::-1].copy(), man, photographs["astronaut"]]

    for alone, batched in zip(pictures, together.detect_batch(pictures), strict=True):
        expected = detector.detect(alone)
        assert len(expected) == len(batched) == 1
        assert np.allclose(expected.landmarks_N52, batched.landmarks_N52, atol=1e-2)
        assert np.allclose(expected.scores_N, batched.scores_N, atol=1e-4)


def test_an_empty_picture_has_no_faces_and_another_shape_or_type_is_refused() -> None:
    detector = Detector(Blind())

    assert len(detector.detect(np.zeros((0, 10, 3), np.uint8))) == 0
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8"):
            detector.detect(wrong)  # type: ignore[arg-type]
