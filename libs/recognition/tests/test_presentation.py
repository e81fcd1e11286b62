"""The presentation check: a turned plane is flat, a turned head is not, a screen's stripes stand out."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from overt.recognition.presentation import (
    PATCH_SIDE_PX,
    Finding,
    PresentationCheck,
    PresentationOptions,
    moire,
    parallax,
    patch,
    upright,
)
from overt.recognition.quality.pose import MEAN_FACE_53

STEP_NS = 40_000_000
OPTIONS = PresentationOptions()
GREY = np.full((400, 400, 3), 128, np.uint8)
Turn = Callable[[float], tuple[float, float]]


def seen(shape_53: NDArray[np.float64], yaw_deg: float, pitch_deg: float) -> NDArray[np.float32]:
    """Five points of a body that is turned, from afar, its eyes 60 pixels apart."""
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    turned_53 = shape_53 @ np.array(about_y).T @ np.array(about_x).T
    return (60 * turned_53[:, :2] + (200, 180)).astype(np.float32)


HEAD_53 = MEAN_FACE_53
FLAT_53 = MEAN_FACE_53 * (1, 1, 0)


def still(_: float) -> tuple[float, float]:
    return 0.0, 0.0


def turning(share: float) -> tuple[float, float]:
    return 40 * float(np.sin(7 * share)), 10 * float(np.sin(4 * share))


def watched(
    shape_53: NDArray[np.float64], turn: Turn, frames: int = 100, off_px: float = 0.3
) -> PresentationCheck:
    """A check that has watched the body turn, its points found with an error of `off_px`."""
    random = np.random.default_rng(5)
    check = PresentationCheck()
    for number in range(frames):
        points_52 = seen(shape_53, *turn(number / 100)) + random.normal(0, off_px, (5, 2))
        check.add(GREY, points_52, number * STEP_NS)
    return check


def test_a_plane_that_is_turned_is_called_flat_and_a_head_is_not() -> None:
    flat, head = watched(FLAT_53, turning).finding(), watched(HEAD_53, turning).finding()
    assert flat is not None
    assert head is not None
    assert (flat.flat, flat.flagged) == (True, True)
    assert (head.flat, head.flagged) == (False, False)


@pytest.mark.parametrize("shape_53", [FLAT_53, HEAD_53], ids=["plane", "head"])
def test_of_what_is_not_turned_parallax_says_nothing(shape_53: NDArray[np.float64]) -> None:
    found = watched(shape_53, still).finding()
    assert found is not None
    assert (found.flat, found.flagged) == (None, False)


def test_with_few_looks_nothing_is_said() -> None:
    assert watched(FLAT_53, turning, frames=28).finding() is None
    assert watched(FLAT_53, turning, frames=29).finding() is not None


def test_a_track_of_an_hour_is_held_in_few_looks_over_its_whole_length() -> None:
    check = PresentationCheck()
    for number in range(90_000):
        check.add(GREY[:8, :8], seen(HEAD_53, 0, 0), number * STEP_NS)
    assert OPTIONS.max_looks // 2 <= check.looks <= OPTIONS.max_looks
    assert sum(look.count for look in check._looks) >= 90_000 // 4


def test_an_upright_face_is_the_same_wherever_however_large_and_rolled() -> None:
    points_52 = seen(HEAD_53, 15, 5).astype(np.float64)
    roll = np.array([[0.8, -0.6], [0.6, 0.8]])
    first, second = upright(points_52), upright(3 * points_52 @ roll.T + (50, -20))
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_points_in_one_place_are_no_look() -> None:
    assert upright(np.zeros((5, 2))) is None
    check = PresentationCheck()
    check.add(GREY, np.zeros((5, 2)), 0)
    assert check.looks == 0


def test_parallax_agrees_with_what_turning_by_an_angle_must_give() -> None:
    # Half the looks from the front, half turned by 30 degrees: (1 - cos) / (1 + cos) between them.
    looks = [upright(seen(FLAT_53, yaw, 0)) for yaw in (0, 30) * 10]
    moved = parallax(np.stack([look for look in looks if look is not None]))
    c = np.cos(np.radians(30))
    assert moved.tilt == pytest.approx((1 - c) / (1 + c) / 2, rel=0.05)
    assert moved.relief == pytest.approx(0, abs=1e-6)


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


def test_a_face_at_the_rim_has_no_texture_to_ask() -> None:
    assert patch(GREY, np.full((5, 2), 10.0)).shape == (42, 42)
    assert moire(patch(GREY, np.full((5, 2), 10.0))) == 0.0
    assert patch(GREY, np.full((5, 2), 200.0)).shape == (PATCH_SIDE_PX, PATCH_SIDE_PX)
    assert patch(GREY, np.full((5, 2), -500.0)).size == 0
