"""Without an active, signed order that covers the camera and names this pack, no face leaves the service."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from overt.contracts.messages import CaptureEnded
from overt.contracts.orders import Order

from .conftest import NOW_S, DrawnFace, World

FACE = DrawnFace(200, 200)
FRAMES = 8


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"starts_at_s": NOW_S + 60}, "no_order"),
        ({"ends_at_s": NOW_S - 1}, "no_order"),
        ({"state": "stopped"}, "no_order"),
        ({"state": "ended"}, "no_order"),
        ({"deployment_id": "d2"}, "no_order"),
        ({"camera_ids": ("cam-2",)}, "other_camera"),
        ({"fingerprint": "f" * 64}, "other_fingerprint"),
    ],
    ids=str,
)
def test_nothing_is_looked_at_outside_an_order(
    world: World, make_order: Callable[..., Order], changes: dict[str, object], reason: str
) -> None:
    world.publish(make_order(**changes))
    assert world.watch(FRAMES, [FACE]) == []
    assert world.finder.sizes_wh == []
    assert world.skipped(reason) == FRAMES


def test_nothing_is_looked_at_without_any_order(world: World) -> None:
    assert world.watch(FRAMES, [FACE]) == []
    assert world.finder.sizes_wh == []
    assert world.skipped("no_order") == FRAMES


def test_nothing_is_looked_at_under_a_forged_order(world: World, make_order: Callable[..., Order]) -> None:
    with capture_logs() as logs:
        world.publish(make_order(), key=Ed25519PrivateKey.generate())
    assert [line["event"] for line in logs] == ["order refused"]
    assert world.watch(FRAMES, [FACE]) == []
    assert world.finder.sizes_wh == []


def test_the_same_face_is_handed_on_under_a_lawful_order(watched: World) -> None:
    assert len(watched.watch(FRAMES, [FACE])) == 1
    assert not any(watched.skipped(reason) for reason in ("no_order", "other_camera", "other_fingerprint"))


def test_what_waits_is_dropped_when_the_order_is_stopped(
    watched: World, make_order: Callable[..., Order]
) -> None:
    assert watched.watch(3, [FACE]) == []
    watched.publish(make_order(revision=2, state="stopped"))
    watched.clock.advance(1)
    assert watched.handle() == []
    assert watched.handle(CaptureEnded("d1", "cam-1", watched.clock.now_ns())) == []
    # Lawful again: what was seen before the stop does not come back.
    watched.publish(make_order(revision=3))
    watched.finder.faces = ()
    assert watched.watch(FRAMES, []) == []


def test_what_waits_is_dropped_when_the_order_runs_out(
    world: World, make_order: Callable[..., Order]
) -> None:
    world.publish(make_order(ends_at_s=NOW_S + 0.13))
    assert world.watch(3, [FACE]) == []
    world.clock.advance(0.2)
    assert world.handle(CaptureEnded("d1", "cam-1", world.clock.now_ns())) == []


def test_what_waits_is_dropped_when_the_order_drops_the_camera(
    watched: World, make_order: Callable[..., Order]
) -> None:
    assert watched.watch(3, [FACE]) == []
    watched.publish(make_order(revision=2, camera_ids=("cam-2",)))
    watched.clock.advance(1)
    assert watched.handle() == []


def test_another_pack_is_told_about_once(world: World, make_order: Callable[..., Order]) -> None:
    world.publish(make_order(fingerprint="f" * 64))
    with capture_logs() as logs:
        world.watch(FRAMES, [FACE])
    assert [(line["log_level"], line["deployment_id"]) for line in logs] == [("error", "d1")]
