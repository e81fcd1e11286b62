"""Which crops become templates, and that nothing else does."""

from collections.abc import Callable

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from overt.contracts.messages import FaceFound
from overt.contracts.orders import Order

from .conftest import NOW_S, OTHER, OWN, World

MakeFace = Callable[..., FaceFound]
MakeOrder = Callable[..., Order]


@pytest.mark.parametrize(
    ("order", "face", "reason"),
    [
        ({"starts_at_s": NOW_S + 60}, {}, "no_order"),
        ({"ends_at_s": NOW_S - 1}, {}, "no_order"),
        ({"state": "stopped"}, {}, "no_order"),
        ({"state": "ended"}, {}, "no_order"),
        ({}, {"deployment_id": "d2"}, "no_order"),
        ({}, {"camera_id": "cam-2"}, "other_camera"),
        ({"fingerprint": OTHER}, {}, "other_fingerprint"),
        ({}, {"fingerprint": OTHER}, "other_fingerprint"),
        ({"fingerprint": OTHER}, {"fingerprint": OTHER}, "other_fingerprint"),
        ({}, {"crop_side_px": 160, "crop_rgb": bytes(160 * 160 * 3)}, "other_crop_size"),
    ],
    ids=str,
)
def test_nothing_is_embedded_outside_an_order_or_for_another_pack(
    world: World,
    make_order: MakeOrder,
    face: dict[str, object],
    make_face: MakeFace,
    order: dict[str, object],
    reason: str,
) -> None:
    world.publish(make_order(**order))
    assert world.handle(make_face(**face)) == []
    assert world.embedder.batches == []
    assert world.dropped(reason) == 1


def test_nothing_is_embedded_without_any_order(world: World, make_face: MakeFace) -> None:
    assert world.handle(make_face()) == []
    assert world.dropped("no_order") == 1


def test_nothing_is_embedded_under_a_forged_order(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    with capture_logs() as logs:
        world.publish(make_order(), key=Ed25519PrivateKey.generate())
    assert [line["event"] for line in logs] == ["order refused"]
    assert world.handle(make_face()) == []
    assert world.embedder.batches == []


def test_an_order_that_runs_out_stops_the_next_crop(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    world.publish(make_order(ends_at_s=NOW_S + 10))
    assert len(world.handle(make_face())) == 1
    world.clock.advance(10)
    assert world.handle(make_face()) == []


def test_a_batch_is_embedded_at_once_and_each_template_goes_with_its_own_shot(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    world.publish(make_order())
    faces = [make_face(grey, track_id=f"t{grey}") for grey in (101, 102, 103)]
    templates = world.handle(*faces)
    assert world.embedder.batches == [3]
    assert [template.shot for template in templates] == [face.shot for face in faces]
    values = [np.frombuffer(template.template, "<f4") for template in templates]
    assert [int(value.argmax()) for value in values] == [1, 2, 3]
    assert {(template.fingerprint, template.dimension) for template in templates} == {(OWN, 4)}
    assert world.made() == 3


def test_unlawful_crops_in_a_batch_do_not_hold_up_the_lawful_ones(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    world.publish(make_order())
    templates = world.handle(make_face(1, fingerprint=OTHER), make_face(2), make_face(3, camera_id="cam-2"))
    assert len(templates) == 1
    assert world.embedder.batches == [1]


def test_a_batch_delivered_twice_gives_the_same_messages(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    world.publish(make_order())
    faces = [make_face(grey) for grey in (1, 2)]
    assert world.handle(*faces) == world.handle(*faces)


def test_a_template_without_a_direction_is_dropped_instead_of_stopping_the_service(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    world.publish(make_order())
    world.embedder.broken = 7
    assert len(world.handle(make_face(7), make_face(8))) == 1
    assert world.dropped("not_finite") == 1


def test_another_pack_is_told_about_once_by_its_fingerprint_and_nothing_of_the_face(
    world: World, make_order: MakeOrder, make_face: MakeFace
) -> None:
    world.publish(make_order())
    with capture_logs() as logs:
        world.handle(make_face(fingerprint=OTHER), make_face(fingerprint=OTHER), make_face())
        world.handle(make_face(fingerprint=OTHER))
    assert logs == [
        {
            "event": "crops of another model pack are refused",
            "log_level": "error",
            "deployment_id": "d1",
            "crop_fingerprint": OTHER,
            "own_fingerprint": OWN,
        }
    ]


def test_without_crops_nothing_happens(world: World) -> None:
    assert world.handle() == []
