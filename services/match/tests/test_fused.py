"""A look that brings the template of its track: an entry's similarity is the mean of both cosines (ADR 16)."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.contracts.codec import encode
from overt.contracts.messages import TemplateMade
from overt.contracts.orders import Order
from overt.contracts.topics import MATCHES
from overt.recognition.gallery import Hit
from overt.recognition.protect import Rotation

from .conftest import FakeWatchlists, World, direction

MakeTemplate = Callable[..., TemplateMade]
MakeOrder = Callable[..., Order]


def fused(first: float) -> bytes:
    """The template of a track whose cosine with entry e1 is `first`; with e2 it is the other side of that angle."""
    return direction(first).astype("<f4").tobytes()


@pytest.fixture
def lawful(world: World, make_order: MakeOrder) -> World:
    world.publish(make_order(threshold=0.55))
    return world


def found(world: World, *templates: TemplateMade) -> list[dict[str, float]]:
    matches = world.handle(*templates)
    assert all(encode(MATCHES, match) for match in matches)
    return [{one.entry_id: one.similarity for one in match.candidates} for match in matches]


@pytest.mark.parametrize(("look", "track"), [(0.9, 0.7), (0.7, 0.9), (0.6, 0.6), (0.2, 0.99), (0.99, 0.2)])
def test_the_similarity_is_the_mean_of_the_looks_and_the_tracks_cosine(
    world: World, make_order: MakeOrder, make_template: MakeTemplate, look: float, track: float
) -> None:
    world.publish(make_order(threshold=0.01))
    (got,) = found(world, make_template(look, fused=fused(track)))
    both = np.stack([direction(look), direction(track)])
    want = {name: float((both @ row).mean()) for name, row in FakeWatchlists.references.items()}
    assert got == pytest.approx(want, abs=1e-6)
    assert list(got.values()) == sorted(got.values(), reverse=True)


def test_a_look_below_the_threshold_is_a_match_by_its_track(
    lawful: World, make_template: MakeTemplate
) -> None:
    assert found(lawful, make_template(0.5, track_id="a")) == [{"e2": pytest.approx(0.866, abs=1e-3)}]
    (got,) = found(lawful, make_template(0.5, track_id="b", fused=fused(0.7)))
    assert got["e1"] == pytest.approx(0.6)


def test_a_look_that_its_track_does_not_bear_out_is_no_match(
    lawful: World, make_template: MakeTemplate
) -> None:
    assert [*found(lawful, make_template(0.6))[0]] == ["e2", "e1"]
    assert [*found(lawful, make_template(0.6, fused=fused(0.4)))[0]] == ["e2"]


def test_the_mean_at_the_threshold_is_a_match_and_a_hair_below_it_is_none(
    world: World, make_order: MakeOrder, make_template: MakeTemplate
) -> None:
    look, track = make_template(-0.9), fused(-0.5)
    rows = [np.frombuffer(one, "<f4").astype(np.float64) for one in (look.template, track)]
    mean = float((rows[0][1] + rows[1][1]) / 2)
    probe = make_template(-0.9, fused=track)
    world.publish(make_order(threshold=mean - 1e-6))
    assert len(found(world, probe)) == 1
    world.publish(make_order(threshold=mean + 1e-6, revision=2))
    assert found(world, probe) == []


def test_what_the_gallery_puts_above_the_threshold_by_the_direction_alone_is_no_match(
    lawful: World, make_template: MakeTemplate
) -> None:
    # Both cosines with e2 are 0.5; their mean's direction is nearer to it: 0.5 / cos(60 degrees) = 1.
    look = np.array([0.75**0.5, 0.5, 0, 0], "<f4").tobytes()
    track = np.array([-(0.75**0.5), 0.5, 0, 0], "<f4").tobytes()
    assert found(lawful, make_template(template=look, fused=track)) == []
    assert lawful.watchlists.searches == [("w1", 1)]


def test_each_look_gets_the_answer_of_its_own_track_in_one_search(
    lawful: World, make_template: MakeTemplate
) -> None:
    looks = [
        make_template(-0.9, track_id="a"),
        make_template(0.9, track_id="b", fused=fused(0.7)),
        make_template(0.95, track_id="c"),
        make_template(0.9, track_id="d", fused=fused(0.5)),
    ]
    matches = lawful.handle(*looks)
    assert [(match.shot.track_id, round(match.candidates[0].similarity, 4)) for match in matches] == [
        ("b", 0.8),
        ("c", 0.95),
        ("d", 0.7),
    ]
    assert lawful.watchlists.searches == [("w1", 4)]
    assert (lawful.count("searches"), lawful.count("matches")) == (4, 3)


def test_the_gallery_is_asked_with_unit_vectors_only(lawful: World, make_template: MakeTemplate) -> None:
    asked: list[float] = []

    class Noting(FakeWatchlists):
        def search(self, order: Order, probes_ND: NDArray[np.float32], rotation: Rotation) -> list[list[Hit]]:
            asked.extend(np.linalg.norm(probes_ND, axis=1))
            return super().search(order, probes_ND, rotation)

    lawful.core._watchlists = Noting()
    lawful.handle(
        make_template(0.9), make_template(0.9, fused=fused(-0.5)), make_template(0.1, fused=fused(1.0))
    )
    assert asked == pytest.approx([1, 1, 1], abs=1e-6)


def test_a_track_opposite_to_its_look_is_passed_over(lawful: World, make_template: MakeTemplate) -> None:
    opposite = (-direction(0.9)).astype("<f4").tobytes()
    assert found(lawful, make_template(0.9, fused=opposite)) == [{"e1": pytest.approx(0.9)}]


def test_the_probe_hash_is_that_of_the_look_that_is_shown(lawful: World, make_template: MakeTemplate) -> None:
    alone, together = lawful.handle(make_template(0.9), make_template(0.9, fused=fused(0.7)))
    assert alone.probe_hash == together.probe_hash


def test_a_batch_delivered_twice_gives_the_same(lawful: World, make_template: MakeTemplate) -> None:
    probes = [make_template(0.9), make_template(0.7, fused=fused(0.9))]
    assert lawful.handle(*probes) == lawful.handle(*probes)
