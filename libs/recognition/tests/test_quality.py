from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from overt.recognition.align import TEMPLATE_52, align_crop
from overt.recognition.pack import Pack
from overt.recognition.quality import Quality, assess, enrolment_refusal, probe_ok

Photographs = Mapping[str, NDArray[np.uint8]]
GOOD = Quality(score=90, size_px=60.0, sharpness=0.4, exposure=0.9, frontalness=0.9, margin=1.0)


def face(
    landmarks_52: NDArray[np.float64], size_wh: tuple[int, int] = (1000, 1000), seed: int = 0
) -> Quality:
    """Judge an imaginary face: a noisy crop of good contrast, with a box around the landmarks."""
    crop_HWC = np.random.default_rng(seed).integers(40, 220, (112, 112, 3), np.uint8)
    box = np.concatenate([landmarks_52.min(axis=0) - 5, landmarks_52.max(axis=0) + 5])
    return assess(crop_HWC, box=box, landmarks_52=landmarks_52, image_size_wh=size_wh)


def judged(pack: Pack, image_HWC: NDArray[np.uint8]) -> Quality:
    found = pack.detector.detect(image_HWC)
    crop_HWC = align_crop(image_HWC, found.landmarks_N52[0])
    size = (image_HWC.shape[1], image_HWC.shape[0])
    return assess(crop_HWC, box=found.boxes_N4[0], landmarks_52=found.landmarks_N52[0], image_size_wh=size)


def test_the_size_is_the_distance_of_the_eyes_in_the_picture() -> None:
    for scale in (0.5, 1.0, 3.0):
        landmarks_52 = TEMPLATE_52 * scale + 100
        eyes_px = float(np.linalg.norm(landmarks_52[1] - landmarks_52[0]))
        assert abs(face(landmarks_52).size_px - eyes_px) < 0.02 * eyes_px


def test_a_tilted_head_is_as_frontal_as_an_upright_one_and_a_turned_one_is_less() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    upright = face(TEMPLATE_52 + 200)
    tilted = face((TEMPLATE_52 - 56) @ turn.T + 300)

    profile_52 = TEMPLATE_52 + 200
    profile_52[2, 0] = profile_52[1, 0]  # the nose over one eye
    slightly_52 = TEMPLATE_52 + 200
    slightly_52[2, 0] += 6

    assert upright.frontalness > 0.95
    assert abs(tilted.frontalness - upright.frontalness) < 0.01
    assert face(profile_52).frontalness < 0.1 < face(slightly_52).frontalness < upright.frontalness - 0.1


def test_a_face_at_the_border_has_no_margin_and_one_beyond_it_none_at_all() -> None:
    assert face(TEMPLATE_52 + 200).margin == 1.0
    assert 0.4 < face(TEMPLATE_52 + [-56, 200]).margin < 0.6  # noqa: RUF005 - a shift
    assert face(TEMPLATE_52 - 500).margin == 0.0


def test_landmarks_in_one_place_are_the_worst_and_no_error() -> None:
    worst = face(np.full((5, 2), 50.0))

    assert worst.score == 0
    assert worst.size_px == 0


def test_black_white_and_plain_crops_have_no_exposure() -> None:
    for level in (0, 128, 255):
        plain_HWC = np.full((112, 112, 3), level, np.uint8)
        quality = assess(
            plain_HWC,
            box=np.array([0.0, 0.0, 112.0, 112.0]),
            landmarks_52=TEMPLATE_52,
            image_size_wh=(112, 112),
        )
        assert quality.exposure < 0.1
        assert quality.score == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"size_px": 12.0}, "face too small: 12 px between the eyes, at least 20 needed"),
        ({"sharpness": 0.1}, "face blurred"),
        ({"exposure": 0.3}, "face too dark, too bright or without contrast"),
        ({"frontalness": 0.15}, "face turned away"),
        ({"margin": 0.8}, "face cut off by the border of the picture"),
    ],
)
def test_enrolment_says_why_it_refuses_what_a_probe_may_still_be(
    changed: Mapping[str, float], reason: str
) -> None:
    values = {name: getattr(GOOD, name) for name in Quality.__slots__} | dict(changed)
    quality = Quality(**values)

    assert enrolment_refusal(quality) == reason
    assert probe_ok(quality)


@pytest.mark.parametrize(
    "changed",
    [{"size_px": 8.0}, {"sharpness": 0.05}, {"exposure": 0.1}, {"frontalness": 0.05}, {"margin": 0.5}],
)
def test_a_hopeless_probe_is_not_searched_for(changed: Mapping[str, float]) -> None:
    values = {name: getattr(GOOD, name) for name in Quality.__slots__} | dict(changed)

    assert probe_ok(GOOD)
    assert not probe_ok(Quality(**values))


@pytest.mark.models
def test_good_photographs_are_enrolled(pack: Pack, photographs: Photographs) -> None:
    for name, image_HWC in photographs.items():
        quality = judged(pack, image_HWC)
        assert enrolment_refusal(quality) is None, name
        assert quality.score > 80


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(12))


def dark(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: value * 0.1)


def far(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 10, picture.height // 10), Image.Resampling.BOX)


@pytest.mark.models
@pytest.mark.parametrize(
    ("spoil", "reason"), [(blurred, "face blurred"), (dark, "face too dark"), (far, "face too small")]
)
def test_a_spoilt_photograph_is_worse_and_is_refused_for_what_was_spoilt(
    pack: Pack, photographs: Photographs, spoil: Callable[[Image.Image], Image.Image], reason: str
) -> None:
    image_HWC = photographs["obama"]

    quality = judged(pack, np.asarray(spoil(Image.fromarray(image_HWC))))

    assert quality.score < judged(pack, image_HWC).score - 20
    assert str(enrolment_refusal(quality)).startswith(reason)
