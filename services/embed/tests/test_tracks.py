"""What is remembered of a face in view and for how long, and what goes out with its template."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.contracts.messages import FaceFound, TemplateMade
from overt.contracts.orders import Order
from overt.embed.tracks import SILENCE_S, Tracks
from overt.runtime.clock import ManualClock

from .conftest import World

MakeFace = Callable[..., FaceFound]
MakeOrder = Callable[..., Order]


class Turning:
    """A template's angle in degrees is the crop's first value."""

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        radians_N = np.radians(crops_NHWC[:, 0, 0, 0].astype(np.float64))
        zeros_N = np.zeros_like(radians_N)
        return np.stack([np.cos(radians_N), np.sin(radians_N), zeros_N, zeros_N], axis=1).astype(np.float32)


@pytest.fixture
def lawful(world: World, make_order: MakeOrder) -> World:
    world.core._embedder = Turning()
    world.publish(make_order(camera_ids=("cam-1", "cam-2")))
    return world


def handle(world: World, *faces: FaceFound) -> list[TemplateMade]:
    """As World.handle, for any camera."""
    return [out.message for out in world.core.handle(faces) if isinstance(out.message, TemplateMade)]


def degrees(fused: bytes | None) -> float | None:
    if fused is None:
        return None
    x, y = np.frombuffer(fused, "<f4")[:2].astype(np.float64)
    return round(math.degrees(math.atan2(y, x)), 3)


def angles(world: World, *faces: FaceFound) -> list[float | None]:
    return [degrees(template.fused) for template in handle(world, *faces)]


def test_a_first_look_goes_alone_and_the_next_ones_with_all_so_far(
    lawful: World, make_face: MakeFace
) -> None:
    looks = [make_face(angle, number=number) for number, angle in enumerate((10, 20, 30), start=1)]
    assert angles(lawful, *looks) == [None, 15.0, 20.0]
    assert lawful.registry.get_sample_value("overt_embed_fused_templates_total") == 2


def test_the_better_look_counts_more_and_one_without_quality_still_counts(
    lawful: World, make_face: MakeFace
) -> None:
    (_, better) = angles(lawful, make_face(10, quality=90), make_face(20, number=2, quality=10))
    assert better is not None
    assert better < 12
    poor = {"track_id": "t2", "quality": 0}
    assert angles(lawful, make_face(10, **poor), make_face(20, number=2, **poor)) == [None, 15.0]


def test_a_batch_or_a_look_delivered_again_gives_the_same_and_counts_once(
    lawful: World, make_face: MakeFace
) -> None:
    looks = [make_face(angle, number=number) for number, angle in enumerate((10, 20, 30), start=1)]
    first = handle(lawful, *looks)
    assert handle(lawful, *looks) == first
    assert handle(lawful, looks[1]) == [first[1]]
    assert handle(lawful, looks[2], looks[0]) == [first[2], first[0]]
    assert lawful.tracks.held == 1


def test_the_same_looks_give_the_same_however_they_are_batched(lawful: World, make_face: MakeFace) -> None:
    looks = [make_face(angle, number=number) for number, angle in enumerate((10, 20, 30), start=1)]
    at_once = handle(lawful, *looks)
    lawful.tracks.forget(lambda _: False)
    assert [handle(lawful, look)[0] for look in looks] == at_once


def test_two_people_under_one_track_are_not_made_one(lawful: World, make_face: MakeFace) -> None:
    looks = [make_face(angle, number=number) for number, angle in enumerate((10, 20, 110, 120), start=1)]
    assert angles(lawful, *looks) == [None, 15.0, None, 115.0]


@pytest.mark.parametrize("other", [{"camera_id": "cam-2"}, {"track_id": "t2"}], ids=str)
def test_looks_of_another_camera_or_track_are_not_taken_together(
    lawful: World, make_face: MakeFace, other: dict[str, str]
) -> None:
    assert angles(lawful, make_face(10), make_face(20, number=2, **other)) == [None, None]


def test_looks_under_another_order_are_not_taken_together(
    lawful: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    lawful.publish(make_order(deployment_id="d2"))
    assert angles(lawful, make_face(10), make_face(20, number=2, deployment_id="d2")) == [None, None]


def test_what_is_not_embedded_is_not_remembered(lawful: World, make_face: MakeFace) -> None:
    handle(lawful, make_face(10, fingerprint="b" * 64), make_face(10, deployment_id="unknown"))
    assert lawful.tracks.held == 0


def test_a_silent_track_is_forgotten_although_nothing_arrives(lawful: World, make_face: MakeFace) -> None:
    handle(lawful, make_face(10))
    lawful.clock.advance(SILENCE_S)
    handle(lawful)
    assert lawful.tracks.held == 1
    lawful.clock.advance(1)
    handle(lawful)
    assert lawful.tracks.held == 0
    assert angles(lawful, make_face(20, number=2)) == [None]


@pytest.mark.parametrize(
    "change", [{"state": "stopped"}, {"state": "ended"}, {"camera_ids": ("cam-2",)}], ids=str
)
def test_nothing_is_remembered_once_the_order_is_over_or_leaves_the_camera_out(
    lawful: World, make_order: MakeOrder, make_face: MakeFace, change: dict[str, object]
) -> None:
    handle(lawful, make_face(10))
    assert lawful.tracks.held == 1
    lawful.publish(make_order(revision=2, **change))
    handle(lawful)
    assert lawful.tracks.held == 0


def test_nothing_is_remembered_once_the_order_has_run_out(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    world.publish(make_order(ends_at_s=world.clock.now_s() + 5))
    world.handle(make_face(10))
    assert world.tracks.held == 1
    world.clock.advance(5)
    world.handle()
    assert world.tracks.held == 0


def test_past_its_bound_the_track_longest_without_a_look_is_forgotten(make_face: MakeFace) -> None:
    tracks = Tracks(ManualClock().monotonic_s, most=2)
    row_D = np.array([1, 0, 0, 0], np.float32)
    for track_id in ("t1", "t2", "t1", "t3"):
        tracks.add(make_face(track_id=track_id), row_D)
    assert tracks.held == 2
    assert tracks.add(make_face(track_id="t1", number=2), row_D) is not None
    assert tracks.add(make_face(track_id="t2", number=2), row_D) is None


def test_what_is_remembered_does_not_change_with_the_array_it_came_in(make_face: MakeFace) -> None:
    tracks = Tracks(ManualClock().monotonic_s)
    row_D = np.array([1, 0, 0, 0], np.float32)
    tracks.add(make_face(), row_D)
    again_D = row_D.copy()
    row_D[:] = np.nan
    fused_D = tracks.add(make_face(number=2), again_D)
    assert fused_D is not None
    np.testing.assert_array_equal(fused_D, again_D)
