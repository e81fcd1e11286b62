"""Portraits: eyes level, always framed alike, never enlarged, nothing but pixels inside."""

import io
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from overt.control.portrait import MAX_SIDE_PX, portrait_jpeg

RED, GREEN = (255, 0, 0), (0, 255, 0)


def picture_with_eyes(
    eyes: float, angle_rad: float, middle: tuple[float, float] = (600.0, 500.0)
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A grey picture with a red right eye and a green left one, `eyes` pixels apart; and its landmarks."""
    reach = np.array([math.cos(angle_rad), math.sin(angle_rad)]) * eyes / 2
    right, left = np.array(middle) - reach, np.array(middle) + reach
    picture = Image.new("RGB", (1200, 1000), (128, 128, 128))
    draw = ImageDraw.Draw(picture)
    for eye, colour in ((right, RED), (left, GREEN)):
        draw.circle((float(eye[0]), float(eye[1])), max(3.0, eyes / 12), fill=colour)
    landmarks_52 = np.array([right, left, middle, middle, middle], dtype=np.float32)
    return np.asarray(picture), landmarks_52


def spot(image_HWC: NDArray[np.uint8], channel: int) -> tuple[float, float]:
    """The middle (x, y) of what is bright in one channel and dark in the other."""
    values = image_HWC.astype(int)
    mask = values[..., channel] - values[..., 1 - channel] > 100
    rows, columns = np.nonzero(mask)
    return float(columns.mean()), float(rows.mean())


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


@pytest.mark.parametrize("angle_deg", [0, 20, -35, 90, 180])
@pytest.mark.parametrize("eyes", [40.0, 90.0, 230.0])
def test_the_eyes_are_level_and_stand_where_they_stand_in_every_portrait(angle_deg: int, eyes: float) -> None:
    image_HWC, landmarks_52 = picture_with_eyes(eyes, math.radians(angle_deg))
    portrait_HWC = decoded(portrait_jpeg(image_HWC, landmarks_52))
    side = portrait_HWC.shape[0]
    assert portrait_HWC.shape == (side, side, 3)
    half = side / 4.2 / 2
    assert spot(portrait_HWC, 0) == pytest.approx((side / 2 - half, side * 0.45), abs=2.0)
    assert spot(portrait_HWC, 1) == pytest.approx((side / 2 + half, side * 0.45), abs=2.0)


@pytest.mark.parametrize(("eyes", "side"), [(40.0, 168), (90.0, 378), (230.0, MAX_SIDE_PX)])
def test_a_portrait_is_never_enlarged_and_never_over_the_limit(eyes: float, side: int) -> None:
    assert decoded(portrait_jpeg(*picture_with_eyes(eyes, 0.0))).shape[0] == side


def test_what_lies_outside_the_picture_is_black() -> None:
    image_HWC, landmarks_52 = picture_with_eyes(60.0, 0.0, middle=(40.0, 40.0))
    portrait_HWC = decoded(portrait_jpeg(image_HWC, landmarks_52))
    assert portrait_HWC[:40, :40].mean() < 5
    assert portrait_HWC[-40:, -40:].mean() == pytest.approx(128, abs=5)


def test_a_portrait_carries_no_metadata() -> None:
    opened = Image.open(io.BytesIO(portrait_jpeg(*picture_with_eyes(90.0, 0.0))))
    assert not opened.getexif()
    assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
