"""What several looks come to when they are taken together, and when they must not be."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.recognition.fusion import LEAST_COSINE, fuse, fuse_track

Rows = NDArray[np.float64]


def unit_rows(seed: int, rows: int = 5, dimension: int = 128) -> Rows:
    """Rows around one direction, as looks at one face are."""
    random = np.random.default_rng(seed)
    rows_ND = random.normal(size=dimension) + 0.6 * random.normal(size=(rows, dimension))
    found: Rows = rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return found


def at_degrees(*angles: float) -> Rows:
    return np.array([[math.cos(math.radians(one)), math.sin(math.radians(one))] for one in angles])


def fused(templates_ND: Rows, weights_N: list[float]) -> NDArray[np.float32]:
    found = fuse(templates_ND, weights_N)
    assert found is not None
    return found


def fused_track(templates_ND: Rows, weights_N: list[float], least_cosine: float) -> NDArray[np.float32]:
    found = fuse_track(templates_ND, weights_N, least_cosine=least_cosine)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_weighted_mean_made_unit_as_the_slow_sum_says(seed: int) -> None:
    rows_ND = unit_rows(seed)
    weights = [float(value) for value in np.random.default_rng(seed).integers(1, 100, size=5)]
    slow = [
        sum(weight * float(row[column]) for weight, row in zip(weights, rows_ND, strict=True))
        for column in range(128)
    ]
    length = math.sqrt(math.fsum(value * value for value in slow))
    np.testing.assert_allclose(fused(rows_ND, weights), [value / length for value in slow], atol=1e-6)


def test_the_heavier_look_draws_it_nearer_and_a_look_of_no_weight_not_at_all() -> None:
    rows_ND = at_degrees(0, 60)
    np.testing.assert_allclose(fused(rows_ND, [50, 50])[None], at_degrees(30), atol=1e-6)
    assert fused(rows_ND, [90, 10]) @ rows_ND[0] > fused(rows_ND, [50, 50]) @ rows_ND[0]
    np.testing.assert_allclose(fused(rows_ND, [90, 0]), rows_ND[0], atol=1e-6)


def test_only_the_ratio_of_the_weights_matters() -> None:
    rows_ND = unit_rows(1)
    np.testing.assert_array_equal(fused(rows_ND, [10, 20, 30, 40, 50]), fused(rows_ND, [20, 40, 60, 80, 100]))


def test_it_is_a_unit_vector_of_float32_whatever_the_looks() -> None:
    for seed in range(20):
        found = fused(unit_rows(seed, rows=seed % 5 + 1), [float(seed + 1)] * (seed % 5 + 1))
        assert found.dtype == np.float32
        assert abs(float(np.linalg.norm(found.astype(np.float64))) - 1) < 1e-6


def test_looks_that_cancel_each_other_out_have_no_template() -> None:
    assert fuse(at_degrees(0, 180), [50, 50]) is None
    assert fuse(at_degrees(0, 120, 240), [50, 50, 50]) is None
    assert fuse(np.full((2, 4), np.nan), [1, 1]) is None


@pytest.mark.parametrize(
    ("templates", "weights"),
    [
        (at_degrees(0, 10), [1]),
        (at_degrees(0, 10), [0, 0]),
        (at_degrees(0, 10), [1, -1]),
        (at_degrees(0, 10), [1, math.nan]),
        (at_degrees(0, 10), [1, math.inf]),
        (at_degrees(0)[0], [1, 1]),
        (np.zeros((0, 4)), []),
    ],
    ids=["too few weights", "no weight", "negative", "no number", "endless", "no rows", "no looks"],
)
def test_what_can_not_be_weighed_is_an_error(templates: Rows, weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"expected|weights must"):
        fuse(templates, weights)


def test_a_track_of_one_face_is_all_its_looks_together() -> None:
    rows_ND, weights = at_degrees(0, 10, 20), [80.0, 60.0, 40.0]
    np.testing.assert_array_equal(fused_track(rows_ND, weights, 0.5), fused(rows_ND, weights))


def test_another_face_under_the_same_track_begins_anew() -> None:
    rows_ND, weights = at_degrees(0, 5, 90, 95), [50.0] * 4
    assert fuse_track(rows_ND[:3], weights[:3], least_cosine=0.5) is None
    np.testing.assert_allclose(fused_track(rows_ND, weights, 0.5)[None], at_degrees(92.5), atol=1e-6)


def test_a_look_is_compared_with_all_before_it_and_not_only_with_the_last() -> None:
    # 40 degrees from the last look, 50 from the two together: with the bound at 45 that is another face.
    bound = math.cos(math.radians(45))
    assert fuse_track(at_degrees(0, 20, 60), [50.0] * 3, least_cosine=bound) is None
    assert fuse_track(at_degrees(20, 60), [50.0] * 2, least_cosine=bound) is not None


def test_one_look_alone_or_none_is_no_fusion() -> None:
    assert fuse_track(at_degrees(0), [50.0]) is None
    assert fuse_track(np.zeros((0, 4)), []) is None


def test_opposite_looks_begin_anew_even_where_everything_may_be_fused() -> None:
    rows_ND = at_degrees(0, 180, 180, 180)
    assert fuse_track(rows_ND[:2], [50.0] * 2, least_cosine=-1.0) is None
    np.testing.assert_allclose(fused_track(rows_ND, [50.0] * 4, -1.0)[None], at_degrees(180), atol=1e-6)


def test_the_bound_is_below_what_looks_at_one_face_have_and_above_what_two_people_have() -> None:
    random = np.random.default_rng(3)
    strangers_ND = random.normal(size=(2, 128))
    strangers_ND /= np.linalg.norm(strangers_ND, axis=1, keepdims=True)
    assert 0.2 < LEAST_COSINE < 0.6
    assert fuse_track(strangers_ND, [50.0] * 2) is None
    assert fuse_track(unit_rows(3), [50.0] * 5) is not None
