"""Frames of several cameras are shown to the detector together, each camera's own one after the other."""

from collections.abc import Callable

import pytest

from overt.contracts.messages import CaptureEnded, FrameCaptured
from overt.contracts.orders import Order
from overt.detect.core import TOGETHER
from overt.detect.settings import DetectOptions
from overt.detect.zones import Zone, Zones

from .conftest import FRAME_NS, NOW_S, DrawnFace, World

FACE = DrawnFace(200, 200)
CAMERAS = tuple(f"cam-{number}" for number in range(1, 13))


@pytest.fixture
def many(make_order: Callable[..., Order]) -> World:
    """A world whose order covers all CAMERAS."""
    world = World()
    world.publish(make_order(camera_ids=CAMERAS))
    return world


def frames_of(world: World, cameras: tuple[str, ...], each: int) -> list[FrameCaptured]:
    """Frames of each camera, a camera's after another's; all read now."""
    now_ns = world.clock.now_ns()
    return [
        world.frame(camera_id=camera_id, captured_at_ns=now_ns + number * FRAME_NS)
        for camera_id in cameras
        for number in range(each)
    ]


def test_the_next_frame_of_each_camera_goes_in_together(many: World) -> None:
    many.handle(*frames_of(many, CAMERAS[:3], 4))
    assert many.finder.batches == [3, 3, 3, 3]


def test_cameras_that_have_no_more_frames_are_left_out(many: World) -> None:
    many.handle(*frames_of(many, CAMERAS[:2], 1), *frames_of(many, CAMERAS[2:3], 3))
    assert many.finder.batches == [3, 1, 1]


def test_no_more_go_in_together_than_are_still_fresh_afterwards(many: World) -> None:
    many.handle(*frames_of(many, CAMERAS, 1))
    assert many.finder.batches == [TOGETHER, len(CAMERAS) - TOGETHER]


def test_what_grew_stale_while_others_were_looked_at_is_skipped(many: World) -> None:
    many.finder.takes_s = (many.clock, 0.6)
    many.handle(*frames_of(many, CAMERAS, 1))
    assert many.finder.batches == [TOGETHER]
    stale = [many.count("frames_skipped", camera=camera_id, reason="stale") for camera_id in CAMERAS]
    assert stale == [0] * TOGETHER + [1] * (len(CAMERAS) - TOGETHER)


def test_a_batch_gives_what_single_frames_give(make_order: Callable[..., Order]) -> None:
    at_once, one_by_one = World(), World()
    for world in (at_once, one_by_one):
        world.publish(make_order(camera_ids=CAMERAS))
        world.finder.faces = (FACE, DrawnFace(700, 300))
    frames = frames_of(at_once, CAMERAS[:3], 10)
    together = at_once.handle(*frames)
    single = [one for frame in frames for one in one_by_one.handle(frame)]
    for camera_id in CAMERAS[:3]:
        shots = [
            [
                (one.shot.captured_at_ns, one.shot.number, one.shot.box, one.shot.quality)
                for one in found
                if one.shot.camera_id == camera_id
            ]
            for found in (together, single)
        ]
        assert shots[0] == shots[1]
        assert len(shots[0]) == 2
        assert at_once.count("tracks", camera=camera_id) == one_by_one.count("tracks", camera=camera_id) == 2


def test_a_camera_that_ends_and_begins_again_within_a_batch_stays_in_order(many: World) -> None:
    many.finder.faces = (FACE,)
    first = frames_of(many, CAMERAS[:2], 8)
    many.clock.advance(0.4)
    second = frames_of(many, CAMERAS[:1], 8)
    found = many.handle(*first, CaptureEnded("d1", "cam-1", many.clock.now_ns()), *second)
    own = [one.shot for one in found if one.shot.camera_id == "cam-1"]
    assert [shot.captured_at_ns for shot in own] == sorted(shot.captured_at_ns for shot in own)
    assert len({shot.track_id for shot in own}) == 2


def test_another_cameras_refused_frames_take_no_place(many: World) -> None:
    refused = [many.frame(camera_id="cam-99") for _ in range(3)]
    many.handle(*refused, *frames_of(many, CAMERAS[:2], 1))
    assert many.finder.batches == [2]
    assert many.count("frames_skipped", camera="cam-99", reason="other_camera") == 3


def test_cameras_seen_at_different_sizes_are_asked_apart(make_order: Callable[..., Order]) -> None:
    zones = Zones(cameras={"cam-2": Zone(smallest_eye_distance_px=24)})
    world = World(options=DetectOptions(zones=zones))
    world.publish(make_order(camera_ids=CAMERAS))
    world.finder.faces = (FACE,)
    world.handle(*frames_of(world, CAMERAS[:3], 3))
    assert world.finder.batches == [2, 1] * 3
    assert [world.count("faces", camera=camera_id) for camera_id in CAMERAS[:3]] == [3, 3, 3]


def test_an_order_that_runs_out_while_frames_are_looked_at_lets_nothing_leave(
    world: World, make_order: Callable[..., Order]
) -> None:
    world.publish(make_order(ends_at_s=NOW_S + 0.5))
    assert world.watch(3, [FACE]) == []
    frame = world.frame(captured_at_ns=world.clock.now_ns() + 3 * FRAME_NS)
    world.finder.takes_s = (world.clock, 0.4)
    assert world.handle(frame) == []
    assert world.skipped("no_order") == 1
    assert world.count("faces") == 3


def test_an_order_that_runs_out_between_two_shots_lets_only_the_first_leave(
    world: World, make_order: Callable[..., Order]
) -> None:
    world.publish(make_order(ends_at_s=NOW_S + 0.5))
    world.finder.faces = (FACE, DrawnFace(700, 200))
    frames = [world.frame(captured_at_ns=world.clock.now_ns() + n * FRAME_NS) for n in range(8)]
    outs = world.core.handle(frames)
    next(outs)
    world.clock.advance(0.6)
    assert list(outs) == []
