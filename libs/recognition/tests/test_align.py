import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overt.recognition.align import TEMPLATE_52, Aligner, align_crop, similarity_transform


def picture_of_position(height: int, width: int) -> NDArray[np.uint8]:
    """Red grows to the right, green downwards, one level a pixel."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns, rows, np.full_like(rows, 7)], axis=2).astype(np.uint8)


@settings(max_examples=50, deadline=None)
@given(
    angle=st.floats(-math.pi, math.pi),
    scale=st.floats(0.05, 20),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_the_transform_finds_any_rotation_scale_and_shift_again(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved_52 = TEMPLATE_52 @ linear.T + shift

    found_23 = similarity_transform(TEMPLATE_52, moved_52)

    assert np.allclose(found_23[:, :2], linear, atol=1e-6 * scale)
    assert np.allclose(found_23[:, 2], shift, atol=1e-6 * (scale * 112 + 500))


def test_the_transform_is_the_best_of_all_similarities_for_points_that_fit_none() -> None:
    random = np.random.default_rng(5)
    landmarks_52 = TEMPLATE_52 * 2 + random.normal(0, 5, (5, 2))

    best_23 = similarity_transform(landmarks_52, TEMPLATE_52)

    def error(matrix_23: NDArray[np.float64]) -> float:
        placed = landmarks_52 @ matrix_23[:, :2].T + matrix_23[:, 2]
        return float(((placed - TEMPLATE_52) ** 2).sum())

    a, b, c, d = best_23[0, 0], best_23[1, 0], best_23[0, 2], best_23[1, 2]
    for step in np.concatenate([np.eye(4), -np.eye(4)]) * [1e-3, 1e-3, 0.1, 0.1]:
        p, q, r, s = np.array([a, b, c, d]) + step
        assert error(np.array([[p, -q, r], [q, p, s]])) > error(best_23)


def test_a_mirrored_face_is_never_mirrored_back() -> None:
    mirrored_52 = TEMPLATE_52 * [-1, 1]

    matrix_23 = similarity_transform(mirrored_52, TEMPLATE_52)

    assert np.linalg.det(matrix_23[:, :2]) >= 0


def test_landmarks_that_stand_as_in_the_template_give_the_picture_itself_pixel_for_pixel() -> None:
    image_HWC = picture_of_position(180, 200)

    crop_HWC = align_crop(image_HWC, TEMPLATE_52 + np.array([40, 30]))

    assert np.array_equal(crop_HWC, image_HWC[30:142, 40:152])


@pytest.mark.parametrize("factor", [0.5, 1.5, 1.9, 2.0, 2.5])
def test_a_crop_shows_each_place_where_the_slow_sampling_shows_it(factor: float) -> None:
    image_HWC = picture_of_position(250, 250)
    # Pixel indices: the middle of a pixel `factor` times as large is (i + 0.5) * factor - 0.5.
    landmarks_52 = (TEMPLATE_52 + 0.5) * factor * 0.7 - 0.5 + 10

    crop_HWC = align_crop(image_HWC, landmarks_52).astype(np.float64)

    matrix_23 = similarity_transform(landmarks_52, TEMPLATE_52)
    rows, columns = np.mgrid[0:112, 0:112]
    places = np.stack([columns.ravel(), rows.ravel()]) - matrix_23[:, 2:]
    expected = np.linalg.solve(matrix_23[:, :2], places).T.reshape(112, 112, 2)
    inside = np.all((expected > 2) & (expected < 247), axis=2)
    assert inside.mean() > 0.5
    assert np.abs(crop_HWC[..., :2] - expected)[inside].max() < 1.01  # Pillow rounds down


def test_a_far_larger_face_is_averaged_not_sampled() -> None:
    """Stripes of one pixel are grey from afar; bilinear sampling alone would show black and white."""
    image_HWC = np.zeros((1200, 1200, 3), np.uint8)
    image_HWC[:, ::2] = 255

    crop_HWC = align_crop(image_HWC, TEMPLATE_52 * 10 + 20)

    assert np.abs(crop_HWC.astype(int) - 127).max() <= 2


def test_what_lies_outside_the_picture_is_black() -> None:
    image_HWC = np.full((112, 56, 3), 200, np.uint8)

    crop_HWC = align_crop(image_HWC, TEMPLATE_52)

    assert (crop_HWC[:, :56] == 200).all()
    assert (crop_HWC[:, 57:] == 0).all()


@pytest.mark.parametrize("shift", [-5000.0, 5000.0])
def test_a_face_beyond_the_picture_gives_a_black_crop(shift: float) -> None:
    crop_HWC = align_crop(np.full((50, 50, 3), 9, np.uint8), TEMPLATE_52 + shift)

    assert crop_HWC.shape == (112, 112, 3)
    assert not crop_HWC.any()


def test_landmarks_in_one_place_give_a_crop_all_the_same() -> None:
    assert align_crop(np.full((50, 50, 3), 9, np.uint8), np.full((5, 2), 25.0)).shape == (112, 112, 3)


def test_the_crop_has_the_size_that_is_asked_for() -> None:
    assert Aligner(TEMPLATE_52 * 160 / 112, 160).crop(picture_of_position(200, 200), TEMPLATE_52).shape == (
        160,
        160,
        3,
    )
