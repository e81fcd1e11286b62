import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overt.recognition.protect import Rotation

KEY, OTHER = b"k" * 32, b"o" * 32
GOLDEN_33 = np.array(
    [
        [-0.488902433998788, -0.73691367227252, -0.466832571322834],
        [0.22107668273997, 0.413012600331074, -0.883484970056908],
        [0.843859887883499, -0.535143748525191, -0.039008435442292],
    ]
)


def unit_rows(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    rows_ND = np.random.default_rng(seed).normal(size=(count, dimension))
    units_ND: NDArray[np.float32] = (rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)).astype(
        np.float32
    )
    return units_ND


@pytest.mark.parametrize("dimension", [1, 2, 128, 512])
def test_a_rotation_is_orthogonal(dimension: int) -> None:
    matrix_DD = Rotation.from_key(KEY, dimension).matrix_DD

    assert np.allclose(matrix_DD @ matrix_DD.T, np.eye(dimension), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(key=st.binary(min_size=16, max_size=64), seed=st.integers(0, 1000))
def test_similarities_are_what_they_were(key: bytes, seed: int) -> None:
    templates_ND = unit_rows(20, 128, seed)

    rotated_ND = Rotation.from_key(key, 128).apply(templates_ND)

    assert rotated_ND.dtype == np.float32
    assert np.abs(rotated_ND @ rotated_ND.T - templates_ND @ templates_ND.T).max() < 1e-5


def test_one_face_under_two_keys_is_no_more_alike_than_two_faces() -> None:
    templates_ND = unit_rows(500, 128)

    first_ND = Rotation.from_key(KEY, 128).apply(templates_ND)
    second_ND = Rotation.from_key(OTHER, 128).apply(templates_ND)

    same = np.abs((first_ND * second_ND).sum(axis=1))
    different = np.abs((first_ND * np.roll(second_ND, 1, axis=0)).sum(axis=1))
    assert same.max() < 0.45
    # Cosines of unrelated unit vectors have mean |c| of about sqrt(2 / (pi D)) = 0.07.
    assert abs(same.mean() - different.mean()) < 0.015


def test_a_key_gives_the_same_rotation_for_ever() -> None:
    """Stored templates depend on these numbers: a change here makes every list unreadable."""
    matrix_DD = Rotation.from_key(bytes(range(32)), 3).matrix_DD

    assert np.allclose(matrix_DD, GOLDEN_33, atol=1e-12)


def test_rotations_are_spread_evenly_over_all() -> None:
    """Haar measure: each entry has mean 0 and variance 1/D; without the signs of R's diagonal it hasn't."""
    matrices = np.stack(
        [Rotation.from_key(number.to_bytes(16, "big"), 4).matrix_DD for number in range(3000)]
    )

    assert np.abs(matrices.mean(axis=0)).max() < 0.04
    assert np.abs(matrices.var(axis=0) - 0.25).max() < 0.03


@pytest.mark.parametrize(("key", "dimension"), [(b"short", 128), (KEY, 0)])
def test_a_weak_key_or_no_dimension_is_refused(key: bytes, dimension: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Rotation.from_key(key, dimension)


def test_templates_of_another_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 128\)"):
        Rotation.from_key(KEY, 128).apply(unit_rows(2, 64))


def test_a_rotation_does_not_show_its_matrix() -> None:
    assert "[[" not in repr(Rotation.from_key(KEY, 4))
