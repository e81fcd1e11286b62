"""The presentation check: a turned picture explains itself, a turned head does not, a screen's stripes stand out."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from overt.recognition.flatness import SIDE_PX, Reference, face_crop
from overt.recognition.presentation import (
    PATCH_SIDE_PX,
    Finding,
    PresentationCheck,
    PresentationOptions,
    moire,
    patch,
)
from overt.recognition.quality.pose import MEAN_FACE_53

STEP_NS = 40_000_000
OPTIONS = PresentationOptions()
EYES_PX, MIDDLE_XY = 40.0, (100.0, 90.0)
Turn = Callable[[float], tuple[float, float]]


def texture(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Something drawn on a face, in inter-eye distances from the eyes' middle: features, no faces."""
    dark = [(-0.5, 0.0, 0.16), (0.5, 0.0, 0.16), (0.0, 0.5, 0.14), (-0.43, 0.96, 0.14), (0.43, 0.96, 0.14)]
    light = [(0.0, 0.2, 0.18), (-0.6, 0.55, 0.2), (0.6, 0.5, 0.25), (0.1, -0.5, 0.3), (0.0, 1.3, 0.15)]
    value = np.full_like(x, 130.0)
    for places, strength in ((dark, -80), (light, 50)):
        for left, top, size in places:
            value += strength * np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * size**2))
    return value


def frame(depth: float, yaw_deg: float, pitch_deg: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A face seen from afar, its nose standing out by `depth` eye distances: picture, landmarks."""
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    down, across = np.mgrid[:200, :200]
    u, v = (across - MIDDLE_XY[0]) / EYES_PX, (down - MIDDLE_XY[1]) / EYES_PX
    x, y = u / np.cos(yaw), v / np.cos(pitch)
    for _ in range(8):  # where the line of sight meets the bump
        z = depth * np.exp(-(x**2 + (y - 0.5) ** 2) / 0.18)
        x, y = (u - z * np.sin(yaw)) / np.cos(yaw), (v - z * np.sin(pitch)) / np.cos(pitch)
    noise = np.random.default_rng(abs(round(100 * yaw_deg)) + 1).normal(0, 2, u.shape)
    picture = (texture(x, y) + noise).clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    points = MEAN_FACE_53[:, :2] * (np.cos(yaw), np.cos(pitch))
    points[2] += depth * np.sin([yaw, pitch])
    return picture, (points * EYES_PX + MIDDLE_XY).astype(np.float32)


def still(_: float) -> tuple[float, float]:
    return 0.0, 0.0


def turning(share: float) -> tuple[float, float]:
    return 30 * float(np.sin(7 * share)), 10 * float(np.sin(4 * share))


def watched(depth: float, turn: Turn, frames: int = 60) -> PresentationCheck:
    """A check that has watched the face for `frames` of 40 ms."""
    check, random = PresentationCheck(), np.random.default_rng(5)
    for number in range(0, frames, 4):
        picture, points = frame(depth, *turn(number / 100))
        # A detector's error: half a pixel.
        check.add(picture, (points + random.normal(0, 0.5, (5, 2))).astype(np.float32), number * STEP_NS)
    return check


def test_a_picture_that_is_turned_is_called_flat_and_a_head_is_not() -> None:
    flat, head = watched(0.0, turning).finding(), watched(0.45, turning).finding()
    assert flat is not None
    assert head is not None
    assert (flat.flat, flat.flagged) == (True, True)
    assert (head.flat, head.flagged) == (False, False)


@pytest.mark.parametrize("depth", [0.0, 0.45], ids=["picture", "head"])
def test_of_what_is_not_turned_parallax_says_nothing(depth: float) -> None:
    found = watched(depth, still).finding()
    assert found is not None
    assert (found.flat, found.flagged) == (None, False)


def test_of_a_face_too_small_parallax_says_nothing() -> None:
    check = PresentationCheck()
    for number in range(10):
        picture, points = frame(0.0, *turning(number / 10))
        small = np.asarray(Image.fromarray(picture).resize((50, 50)))
        check.add(small, (points / 4).astype(np.float32), number * 4 * STEP_NS)
    found = check.finding()
    assert found is not None
    assert found.flat is None


def test_with_few_looks_nothing_is_said() -> None:
    enough = 4 * (OPTIONS.min_looks - 1)
    assert watched(0.0, turning, frames=enough).finding() is None
    assert watched(0.0, turning, frames=enough + 1).finding() is not None


def test_a_track_that_has_an_answer_keeps_having_one() -> None:
    check, (picture, points), answered = PresentationCheck(), frame(0.0, 0, 0), []
    for number in range(400):
        check.add(picture, points, number * STEP_NS)
        answered.append(check.looks >= OPTIONS.min_looks)
    assert answered == sorted(answered)


def test_a_track_of_minutes_is_held_in_few_looks_over_its_whole_length() -> None:
    check, (picture, points) = PresentationCheck(), frame(0.0, 0, 0)
    for number in range(5_000):
        check.add(picture, points, number * STEP_NS)
    assert OPTIONS.max_looks // 2 <= check.looks <= OPTIONS.max_looks
    assert check._every_ns * OPTIONS.max_looks >= 5_000 * STEP_NS


def test_the_best_affine_map_is_found_whatever_the_light() -> None:
    picture, points = frame(0.0, 0, 0)
    reference = Reference(face_crop(picture, points))
    squeeze = np.array([[0.93, 0.02], [0.0, 1.04]])
    other = (points - MIDDLE_XY) @ squeeze.T + MIDDLE_XY
    darker = (0.6 * picture + 10).astype(np.uint8)
    fit = reference.fit(face_crop(darker, other.astype(np.float32)))
    assert fit.likeness > 0.995
    assert abs(fit.dilatation) < 0.01  # the crop turned as a whole by the five points, not squeezed


def test_the_foreshortening_that_is_found_is_that_of_the_turn() -> None:
    picture, points = frame(0.0, 0, 0)
    turned, others = frame(0.0, 30, 0)
    fit = Reference(face_crop(picture, points)).fit(face_crop(turned, others))
    c = np.cos(np.radians(30))
    assert abs(fit.dilatation) == pytest.approx((1 - c) / (1 + c), rel=0.1)


def test_what_has_nothing_in_common_fits_badly_and_what_is_even_not_at_all() -> None:
    picture, points = frame(0.0, 0, 0)
    reference = Reference(face_crop(picture, points))
    random = np.random.default_rng(1).integers(0, 255, (SIDE_PX, SIDE_PX)).astype(np.uint8)
    assert reference.fit(random).likeness < 0.5
    assert reference.fit(np.full((SIDE_PX, SIDE_PX), 90, np.uint8)).likeness == 0.0
    assert Reference(np.full((SIDE_PX, SIDE_PX), 90, np.uint8)).fit(random).likeness == 0.0


def noise() -> NDArray[np.float64]:
    """A smooth patch with a camera's noise."""
    down, across = np.mgrid[:PATCH_SIDE_PX, :PATCH_SIDE_PX]
    smooth_HW = 128 + 30 * np.sin(across / 9) * np.cos(down / 12)
    return np.asarray(smooth_HW + np.random.default_rng(3).normal(0, 2, smooth_HW.shape), np.float64)


def test_faint_stripes_stand_out_of_the_spectrum_and_noise_does_not() -> None:
    down, across = np.mgrid[:PATCH_SIDE_PX, :PATCH_SIDE_PX]
    striped = noise() + 3 * np.cos(2 * np.pi * (0.21 * across + 0.13 * down))
    assert moire(noise()) < OPTIONS.min_moire < moire(striped)
    assert Finding(9, flat=None, moire=True).flagged


def test_the_blocks_of_a_jpeg_are_not_taken_for_a_screen() -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise().clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=30)
    assert moire(np.asarray(Image.open(buffer), np.float64)) < OPTIONS.min_moire


GREY_HWC = np.full((400, 400, 3), 128, np.uint8)


def test_a_face_at_the_rim_has_no_texture_to_ask() -> None:
    assert patch(GREY_HWC, np.full((5, 2), 10.0)).shape == (42, 42)
    assert moire(patch(GREY_HWC, np.full((5, 2), 10.0))) == 0.0
    assert patch(GREY_HWC, np.full((5, 2), 200.0)).shape == (PATCH_SIDE_PX, PATCH_SIDE_PX)
    assert patch(GREY_HWC, np.full((5, 2), -500.0)).size == 0
