"""A look that brings the template of its track so far: both are searched, each entry counts once, by the better."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.contracts.codec import encode
from overt.contracts.messages import TemplateMade
from overt.contracts.orders import Order
from overt.contracts.topics import MATCHES
from overt.recognition.gallery import Hit

from .conftest import FakeWatchlists, World, direction

MakeTemplate = Callable[..., TemplateMade]
MakeOrder = Callable[..., Order]


def fused(first: float) -> bytes:
    """The template of a track whose cosine with entry e1 is `first`."""
    return direction(first).astype("<f4").tobytes()


@pytest.fixture
def lawful(world: World, make_order: MakeOrder) -> World:
    world.publish(make_order(threshold=0.55))
    return world


def found(world: World, *templates: TemplateMade) -> list[list[tuple[str, float]]]:
    matches = world.handle(*templates)
    assert all(encode(MATCHES, match) for match in matches)
    return [[(one.entry_id, round(one.similarity, 4)) for one in match.candidates] for match in matches]


def test_a_look_below_the_threshold_is_a_match_by_its_track(
    lawful: World, make_template: MakeTemplate
) -> None:
    # -0.9 is 0.44 from e2, and nothing of e1.
    assert found(lawful, make_template(-0.9), make_template(-0.9, fused=fused(0.9))) == [[("e1", 0.9)]]


def test_a_look_above_the_threshold_is_a_match_although_its_track_is_below(
    lawful: World, make_template: MakeTemplate
) -> None:
    assert found(lawful, make_template(0.9, fused=fused(-0.9))) == [[("e1", 0.9)]]


def test_neither_above_the_threshold_is_no_match(lawful: World, make_template: MakeTemplate) -> None:
    assert found(lawful, make_template(-0.9, fused=fused(-0.95))) == []
    assert lawful.count("searches") == 1


def test_an_entry_that_both_found_is_named_once_with_the_higher_similarity_and_the_best_is_first(
    lawful: World, make_template: MakeTemplate
) -> None:
    # The look is nearer to e1 (0.8 and 0.6), its track to e2 (0.6 and 0.8): both have 0.8.
    assert found(lawful, make_template(0.8, fused=fused(0.6))) == [[("e1", 0.8), ("e2", 0.8)]]
    assert found(lawful, make_template(0.7, fused=fused(0.6))) == [[("e2", 0.8), ("e1", 0.7)]]


def test_each_look_gets_the_answer_of_its_own_track(lawful: World, make_template: MakeTemplate) -> None:
    looks = [
        make_template(-0.9, track_id="a"),
        make_template(-0.9, track_id="b", fused=fused(0.9)),
        make_template(0.95, track_id="c"),
        make_template(-0.9, track_id="d", fused=fused(0.85)),
    ]
    matches = lawful.handle(*looks)
    assert [(match.shot.track_id, round(match.candidates[0].similarity, 4)) for match in matches] == [
        ("b", 0.9),
        ("c", 0.95),
        ("d", 0.85),
    ]
    assert lawful.watchlists.searches == [("w1", 6)]  # one question for all
    assert (lawful.count("searches"), lawful.count("matches")) == (4, 3)


def test_no_more_candidates_than_were_asked_for(lawful: World, make_template: MakeTemplate) -> None:
    class Many(FakeWatchlists):
        """Another two entries for each probe, as a gallery that was asked for two returns."""

        def _above(self, probe: NDArray[np.float32], threshold: float) -> list[Hit]:
            number = round(float(probe[0]) * 100)
            return [Hit(f"e{number}", 0.9), Hit(f"e{number + 1}", 0.8)]

    lawful.core._watchlists = Many()
    assert found(lawful, make_template(0.8, fused=fused(0.6))) == [[("e80", 0.9), ("e60", 0.9)]]


def test_the_probe_hash_is_that_of_the_look_that_is_shown(lawful: World, make_template: MakeTemplate) -> None:
    alone, together = lawful.handle(make_template(0.9), make_template(0.9, fused=fused(0.99)))
    assert alone.probe_hash == together.probe_hash
    assert (alone.candidates[0].similarity, together.candidates[0].similarity) == pytest.approx((0.9, 0.99))


def test_a_batch_delivered_twice_gives_the_same(lawful: World, make_template: MakeTemplate) -> None:
    probes = [make_template(0.9), make_template(0.7, fused=fused(0.9))]
    assert lawful.handle(*probes) == lawful.handle(*probes)
