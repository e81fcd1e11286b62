"""What chaos and soak decide without a server: who is killed when, and what counts as growing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.integration.deployed import MODULES

from .chaos import Plan
from .soak import Sample, growth

PLAN = Plan(minutes=1.5, kills=9, cameras=2, seed=7)


def test_a_seed_decides_who_is_killed_when() -> None:
    assert PLAN.schedule() == replace(PLAN).schedule()
    assert PLAN.schedule() != replace(PLAN, seed=8).schedule()
    whole = Plan(minutes=10, kills=70, cameras=4, seed=1).schedule()
    assert [at for at, _ in whole] == sorted(at for at, _ in whole)
    assert {name for _, name in whole} == set(MODULES)
    assert whole[-1][0] < 600


@pytest.mark.parametrize(
    ("rss_mb", "files", "threads", "is_flat"),
    [
        (lambda at: 100 + (at % 3), lambda at: 10, lambda at: 5, True),
        (lambda at: 100 + at / 10, lambda at: 10, lambda at: 5, False),
        (lambda at: 100, lambda at: 10 + at // 20, lambda at: 5, False),
        (lambda at: 100, lambda at: 10, lambda at: 5 + at // 20, False),
    ],
)
def test_growth_is_seen_and_noise_is_none(
    rss_mb: Callable[[int], float],
    files: Callable[[int], int],
    threads: Callable[[int], int],
    is_flat: bool,
) -> None:
    samples = [Sample(float(at), "embed", rss_mb(at), files(at), threads(at)) for at in range(150)]
    assert growth("embed", samples).is_flat is is_flat
