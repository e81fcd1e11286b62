"""Resampling people: weights against copies made one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.recognition.bootstrap import bootstrap, found_at_fpir, weighted_share


@settings(deadline=None)
@given(seed=st.integers(0, 500), fpir=st.sampled_from([0.0, 0.1, 0.25, 1.0]))
def test_weights_give_what_copies_would(seed: int, fpir: float) -> None:
    random = np.random.default_rng(seed)
    non_mated, mated = np.round(random.random(20), 1), np.round(random.random(15), 1)
    of_non_mated, of_mated = random.integers(0, 4, 20), random.integers(0, 4, 15)

    figure = found_at_fpir(non_mated, mated, fpir)(of_non_mated, of_mated)

    copied, found = np.repeat(non_mated, of_non_mated), np.repeat(mated, of_mated)
    if not len(copied) or not len(found):
        assert math.isnan(figure)
        return
    levels = [-1.0, *np.nextafter(np.unique(np.concatenate([non_mated, mated])), 2)]
    lowest = next(t for t in sorted(levels) if np.mean(copied >= t) <= fpir)
    assert figure == pytest.approx(np.mean(found >= lowest))


def test_people_are_drawn_not_searches() -> None:
    """Two people, one always found in 100 searches and one never: the share is nearly as unsure as a coin."""
    person_S = np.repeat([0, 1], 100)

    spread = bootstrap(lambda drawn: weighted_share(person_S == 0, drawn[person_S]), 2, rounds=200, seed=1)

    assert spread is not None
    assert (spread.lower_95, spread.upper_95) == (0.0, 1.0)


def test_the_spread_of_a_mean_is_that_of_the_normal_approximation() -> None:
    found_S = np.arange(400) % 4 == 0

    spread = bootstrap(lambda drawn: weighted_share(found_S, drawn), 400, rounds=2000, seed=3)

    assert spread is not None
    half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert (spread.lower_95, spread.upper_95) == pytest.approx((0.25 - half, 0.25 + half), abs=0.006)


def test_one_seed_gives_one_spread() -> None:
    found_S = np.arange(50) % 3 == 0

    def spread(seed: int) -> object:
        return bootstrap(lambda drawn: weighted_share(found_S, drawn), 50, rounds=50, seed=seed)

    assert spread(1) == spread(1) != spread(2)


def test_a_figure_that_most_resamples_do_not_have_has_no_spread() -> None:
    assert bootstrap(lambda drawn: math.nan if drawn[0] == 0 else 1.0, 5, rounds=100) is None
