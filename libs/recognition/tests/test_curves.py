import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.recognition.curves import curve, thresholds_around
from overt.recognition.metrics import fpir, tpir

SCORES = st.lists(st.sampled_from([-np.inf, -0.2, 0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=30)


@settings(deadline=None)
@given(non_mated=SCORES, mated=SCORES, data=st.data())
def test_a_curve_counts_as_each_threshold_alone_does(
    non_mated: list[float], mated: list[float], data: st.DataObject
) -> None:
    ranks_S = np.array(data.draw(st.lists(st.integers(1, 4), min_size=len(mated), max_size=len(mated))))
    best_S, mated_S = np.array(non_mated), np.array(mated)
    thresholds_T = np.array([-1.0, -0.2, 0.0, 0.1, 0.5, 1.0, 1.1])

    found = curve(best_S, mated_S, ranks_S, rank=2, thresholds_T=thresholds_T)

    for number, threshold in enumerate(thresholds_T):
        assert found.fpir(number) == fpir(best_S, threshold)
        assert found.tpir(number) == tpir(mated_S, ranks_S, threshold=threshold, rank=2)


def test_the_lowest_threshold_with_a_rate_is_found_as_counted() -> None:
    thresholds_T = np.array([0.1, 0.2, 0.3, 0.4])
    scores_S, ranks_S = np.array([0.1, 0.2, 0.3, 0.4]), np.ones(4, np.int64)
    found = curve(scores_S, scores_S, ranks_S, rank=1, thresholds_T=thresholds_T)

    assert found.lowest_with(0.5) == 2
    assert found.lowest_with(0.49) == 3
    assert found.lowest_with(0.1) is None


def test_thresholds_reach_beyond_all_scores_on_both_sides() -> None:
    grid_T = thresholds_around(np.array([0.111, -np.inf]), np.array([0.298]), step=0.01)

    assert grid_T[0] <= 0.111
    assert grid_T[-1] > 0.298
    assert np.allclose(np.diff(grid_T), 0.01)
