import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.recognition.ambiguity import doubtful_tracks, overlaps

MARGIN, TOUCH = 0.3, 0.3


def doubtful(rows: list[list[float]], taken: dict[int, int]) -> set[int]:
    """Rows are detections, columns tracks."""
    return set(doubtful_tracks(np.array(rows, np.float32), taken, margin=MARGIN, touch=TOUCH))


@pytest.mark.parametrize(
    ("rows", "taken", "expected"),
    [
        ([[0.9, 0.0], [0.0, 0.9]], {0: 0, 1: 1}, set()),
        ([[0.9, 0.5], [0.5, 0.9]], {0: 0, 1: 1}, set()),
        ([[0.8, 0.7], [0.7, 0.8]], {0: 0, 1: 1}, {0, 1}),
        ([[0.9, 0.7], [0.1, 0.9]], {0: 0, 1: 1}, set()),
        ([[0.9, 0.8]], {0: 0}, {0, 1}),
        ([[0.9, 0.5]], {0: 0}, set()),
        ([[0.9], [0.2]], {0: 0}, set()),
        ([[0.9], [0.4]], {0: 0}, {0}),
        ([[0.4], [0.2]], {0: 0}, {0}),
    ],
    ids=[
        "apart",
        "side by side",
        "the other way round fits as well",
        "only one could be exchanged",
        "one is hidden at the same place",
        "one is hidden beside it",
        "a further face not far off",
        "a further face that touches it",
        "a further face that fits about as well",
    ],
)
def test_a_track_is_doubtful_where_another_choice_would_have_fitted(
    rows: list[list[float]], taken: dict[int, int], expected: set[int]
) -> None:
    assert doubtful(rows, taken) == expected


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_it_is_what_trying_every_exchange_finds(detections: int, tracks: int, seed: int) -> None:
    """The slow way: each pair is exchanged by hand, a place for nobody added on both sides."""
    rng = np.random.default_rng(seed)
    rows = rng.random((detections, tracks)) * (rng.random((detections, tracks)) < 0.8)  # some do not meet
    pairs = list(zip(rng.permutation(detections), rng.permutation(tracks), strict=False))
    taken = {int(d): int(t) for d, t in pairs[: rng.integers(0, len(pairs) + 1)]}
    expected: set[int] = set()
    for (d, t), other in itertools.product(taken.items(), range(tracks)):
        theirs = [number for number, track in taken.items() if track == other]
        if other == t or rows[d, other] <= 0:
            continue
        as_it_is = rows[d, t] + sum(rows[number, other] for number in theirs)
        exchanged = rows[d, other] + sum(rows[number, t] for number in theirs)
        if as_it_is - exchanged < MARGIN * (1 + len(theirs)):
            expected |= {t, other}
    for (d, t), free in itertools.product(taken.items(), set(range(detections)) - set(taken)):
        if rows[free, t] > min(rows[d, t] - MARGIN, TOUCH):
            expected.add(t)
    assert doubtful(rows.tolist(), taken) == expected


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 20, 20]], np.float32)
    expected = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]], np.float32)
    found = overlaps(boxes, expected)
    np.testing.assert_allclose(found, np.array([[1, 1 / 3, 0], [0, 0, 0]], np.float32), atol=1e-6)
