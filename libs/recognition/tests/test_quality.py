import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from overt.recognition.align import TEMPLATE_52, align_crop
from overt.recognition.pack import Pack
from overt.recognition.quality import (
    RULES,
    Components,
    Quality,
    Rule,
    assess,
    enrolment_refusals,
    light,
    probe_ok,
    unified_score,
)
from overt.recognition.quality.occlusion import eyes_visible, mouth_visible
from overt.recognition.quality.pose import MEAN_FACE_53, head_pose
from overt.recognition.quality.sharpness import sharpness
from overt.recognition.quality.within import margin

Photographs = Mapping[str, NDArray[np.uint8]]
GOOD = Components(
    inter_eye_distance_px=60.0,
    margin=1.0,
    yaw_deg=0.0,
    pitch_deg=0.0,
    roll_deg=0.0,
    under_exposure_prevention=1.0,
    over_exposure_prevention=1.0,
    dynamic_range=0.9,
    sharpness=0.4,
    eyes_visible=0.9,
    mouth_visible=0.9,
)


def of(components: Components) -> Quality:
    return Quality(unified_score(components), components)


def judged(pack: Pack, image_HWC: NDArray[np.uint8]) -> Quality:
    found = pack.detector.detect(image_HWC)
    return assess(image_HWC, box=found.boxes_N4[0], landmarks_52=found.landmarks_N52[0])


def noisy(size_wh: tuple[int, int] = (400, 400)) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(40, 220, (size_wh[1], size_wh[0], 3), np.uint8)


def box_around(landmarks_52: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([landmarks_52.min(axis=0) - 5, landmarks_52.max(axis=0) + 5])


def seen(yaw_deg: float, pitch_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """Return the landmarks of the mean face, turned by matrices written out one by one."""
    yaw, pitch, roll = (math.radians(value) for value in (yaw_deg, pitch_deg, roll_deg))
    to_the_side = [[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]]
    down = [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    clockwise = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    rotation_33 = np.array(clockwise) @ np.array(to_the_side) @ np.array(down)
    landmarks_52: NDArray[np.float64] = (MEAN_FACE_53 @ rotation_33.T)[:, :2] * 40 + 200
    return landmarks_52


@given(yaw=st.floats(-75, 75), pitch=st.floats(-60, 60), roll=st.floats(-179, 179))
def test_the_pose_of_the_mean_face_is_found_again(yaw: float, pitch: float, roll: float) -> None:
    pose = head_pose(seen(yaw, pitch, roll))

    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx((yaw, pitch, roll), abs=1e-6)


def test_the_signs_of_a_pose_are_what_is_said() -> None:
    nose, eyes = 2, slice(0, 2)
    to_the_right, lowered = seen(30, 0, 0), seen(0, 20, 0)
    assert to_the_right[nose, 0] > to_the_right[eyes].mean(axis=0)[0]
    assert lowered[nose, 1] - lowered[eyes].mean(axis=0)[1] > seen(0, 0, 0)[nose, 1] - 200
    assert seen(0, 0, 30)[1, 1] > seen(0, 0, 30)[0, 1]


@pytest.mark.models
def test_a_mirrored_photograph_is_turned_the_other_way_and_a_rotated_one_only_tilted(
    pack: Pack, photographs: Photographs
) -> None:
    for image_HWC in photographs.values():
        landmarks_52 = pack.detector.detect(image_HWC).landmarks_N52[0].astype(np.float64)
        mirrored_52 = (landmarks_52 * [-1, 1])[[1, 0, 2, 4, 3]]
        turn = np.array([[0.8, -0.6], [0.6, 0.8]])
        pose, mirrored, tilted = (
            head_pose(one) for one in (landmarks_52, mirrored_52, landmarks_52 @ turn.T)
        )
        assert mirrored.yaw_deg == pytest.approx(-pose.yaw_deg, abs=1e-6)
        assert mirrored.pitch_deg == pytest.approx(pose.pitch_deg, abs=1e-6)
        assert tilted.yaw_deg == pytest.approx(pose.yaw_deg, abs=1e-6)
        assert tilted.roll_deg - pose.roll_deg == pytest.approx(math.degrees(math.atan2(0.6, 0.8)), abs=1e-6)


def test_the_size_is_the_distance_of_the_eyes_in_the_picture() -> None:
    for scale in (0.5, 1.0, 3.0):
        landmarks_52 = TEMPLATE_52 * scale + 10
        quality = assess(noisy(), box=box_around(landmarks_52), landmarks_52=landmarks_52)
        eyes_px = float(np.linalg.norm(landmarks_52[1] - landmarks_52[0]))
        assert quality.components.inter_eye_distance_px == pytest.approx(eyes_px, rel=0.02)


def test_a_face_at_the_border_has_no_margin_and_one_beyond_it_none_at_all() -> None:
    def share(landmarks_52: NDArray[np.float64]) -> float:
        return margin(box_around(landmarks_52), landmarks_52, (1000, 1000))

    assert share(TEMPLATE_52 + 200) == 1.0
    assert 0.4 < share(TEMPLATE_52 + [-56, 200]) < 0.6  # noqa: RUF005 - a shift
    assert share(TEMPLATE_52 - 500) == 0.0


def test_landmarks_in_one_place_are_the_worst_and_no_error() -> None:
    worst = assess(noisy(), box=np.array([0, 0, 9, 9.0]), landmarks_52=np.full((5, 2), 50.0))

    assert worst.score == 0
    assert worst.components.inter_eye_distance_px == 0
    assert not probe_ok(worst)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_crop_shows_nothing(level: int) -> None:
    plain_HWC = np.full((112, 112, 3), level, np.uint8)

    quality = assess(plain_HWC, box=np.array([0, 0, 112, 112.0]), landmarks_52=TEMPLATE_52)

    assert quality.components.dynamic_range == 0
    assert quality.components.sharpness == 0
    assert quality.components.mouth_visible < 0.001
    assert quality.score == 0


def test_exposure_is_the_share_of_pixels_that_are_neither_lost_in_the_dark_nor_burnt_out() -> None:
    luma_HW = np.full((10, 10), 100, np.float32)
    luma_HW[:3], luma_HW[3:5] = 25, 247

    assert light.under_exposure_prevention(luma_HW) == pytest.approx(0.7)
    assert light.over_exposure_prevention(luma_HW) == pytest.approx(0.8)


def test_dynamic_range_is_the_entropy_over_eight_bits() -> None:
    assert light.dynamic_range(np.arange(256, dtype=np.float32).reshape(16, 16)) == pytest.approx(1.0)
    assert light.dynamic_range(np.repeat([10, 200], 50).astype(np.float32).reshape(10, 10)) == pytest.approx(
        1 / 8
    )


def test_a_blurred_crop_is_less_sharp_whatever_its_contrast() -> None:
    grain = Image.fromarray(np.random.default_rng(1).integers(60, 190, (80, 80), np.uint8))
    sharp_HW, blurred_HW = (
        np.asarray(one, np.float32) for one in (grain, grain.filter(ImageFilter.GaussianBlur(3)))
    )

    assert sharpness(sharp_HW, 40) > 2 * sharpness(blurred_HW, 40)
    assert sharpness(sharp_HW * np.float32(0.25), 40) == pytest.approx(sharpness(sharp_HW, 40), abs=1e-5)


def with_sunglasses(crop_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.fromarray(crop_HWC)
    for x in (38, 74):
        ImageDraw.Draw(picture).ellipse((x - 16, 42, x + 16, 66), fill=(22, 22, 24))
    return np.asarray(picture)


def with_mask(crop_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.fromarray(crop_HWC)
    shape = [(56, 62), (92, 74), (90, 98), (56, 112), (22, 98), (20, 74)]
    ImageDraw.Draw(picture).polygon(shape, fill=(150, 190, 215))
    return np.asarray(picture)


@pytest.mark.models
def test_covered_eyes_and_mouths_are_told_from_seen_ones(pack: Pack, photographs: Photographs) -> None:
    limits = {rule.name: rule.enrolment for rule in RULES}
    for name, image_HWC in photographs.items():
        crop_HWC = align_crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])
        bare, glasses, mask = (
            light.luma(one) for one in (crop_HWC, with_sunglasses(crop_HWC), with_mask(crop_HWC))
        )
        assert eyes_visible(bare) > 0.5 > limits["eyes_visible"] > eyes_visible(glasses), name
        assert mouth_visible(bare) > 0.5 > limits["mouth_visible"] > mouth_visible(mask), name


def between(rule: Rule) -> Components:
    """Return a look that is good in all but one thing, and in that between the two limits."""
    lowest = 0.0 if rule.probe is None else rule.probe
    return replace(GOOD, **{rule.name: (rule.enrolment + lowest) / 2})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_enrolment_is_stricter_than_a_search_in_every_component(rule: Rule) -> None:
    reason = rule.refusal(between(rule), rule.enrolment)

    assert reason is not None
    assert enrolment_refusals(of(between(rule))) == (reason,)
    assert probe_ok(of(between(rule)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_hopeless_probe_is_not_searched_for_and_a_covered_face_is(rule: Rule) -> None:
    if rule.probe is None:
        assert rule.name in {"under_exposure_prevention", "eyes_visible", "mouth_visible"}
        assert probe_ok(Quality(0, replace(GOOD, **{rule.name: 0.0})))
    else:
        beyond = rule.probe * (1.01 if rule.at_most else 0.99)
        assert not probe_ok(of(replace(GOOD, **{rule.name: beyond})))
        assert not probe_ok(Quality(100, replace(GOOD, **{rule.name: math.nan})))


def test_every_component_has_a_rule_and_a_good_face_breaks_none() -> None:
    assert [rule.name for rule in RULES] == [field.name for field in fields(Components)]
    assert enrolment_refusals(of(GOOD)) == ()
    assert probe_ok(of(GOOD))


def test_enrolment_tells_every_reason_at_once() -> None:
    poor = replace(GOOD, inter_eye_distance_px=12.4, yaw_deg=-50.0, mouth_visible=0.05)
    size, turn, mask = (
        "face too small: 12 px between the eyes, at least 20 needed",
        "face turned to the side: about 50 degrees, at most 35",
        "mouth or nose covered",
    )

    assert enrolment_refusals(of(poor)) == (size, turn, mask)
    assert enrolment_refusals(of(replace(poor, sharpness=0.1))) == (size, turn, "face blurred")


@pytest.mark.parametrize(
    ("worse", "step"),
    [
        ("inter_eye_distance_px", 20.0),
        ("margin", 0.9),
        ("yaw_deg", 30.0),
        ("pitch_deg", -45.0),
        ("over_exposure_prevention", 0.8),
        ("dynamic_range", 0.6),
        ("sharpness", 0.1),
        ("sharpness", 0.8),
        ("eyes_visible", 0.2),
        ("mouth_visible", 0.05),
    ],
)
def test_the_score_falls_with_each_component(worse: str, step: float) -> None:
    assert unified_score(GOOD) == 100
    assert unified_score(replace(GOOD, **{worse: step})) < 97


@pytest.mark.models
def test_good_photographs_are_enrolled(pack: Pack, photographs: Photographs) -> None:
    for name, image_HWC in photographs.items():
        quality = judged(pack, image_HWC)
        assert enrolment_refusals(quality) == (), name
        assert quality.score > 85


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(12))


def dark(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: value * 0.1)


def bright(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: min(255, value * 4))


def far(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 10, picture.height // 10), Image.Resampling.BOX)


@pytest.mark.models
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (blurred, "face blurred"),
        (dark, "face too dark"),
        (bright, "face too bright"),
        (far, "face too small: 12 px between the eyes, at least 20 needed"),
    ],
)
def test_a_spoilt_photograph_is_worse_and_is_refused_for_what_was_spoilt(
    pack: Pack, photographs: Photographs, spoil: Callable[[Image.Image], Image.Image], reason: str
) -> None:
    image_HWC = photographs["obama"]

    quality = judged(pack, np.asarray(spoil(Image.fromarray(image_HWC))))

    assert quality.score < judged(pack, image_HWC).score - 20
    assert reason in enrolment_refusals(quality)
