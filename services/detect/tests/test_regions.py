"""A camera's zone at work: where faces are looked for, which of them are followed, and what is blurred all the same."""

from collections.abc import Callable

import numpy as np
import pytest

from overt.contracts.orders import Order
from overt.detect import jpeg
from overt.detect.settings import DetectOptions
from overt.detect.shown import show
from overt.detect.zones import FOUND_EYE_DISTANCE_PX, Zone, Zones
from overt.recognition.detector import Detections

from .conftest import SIZE_WH, DrawnFace, World, face_region, of

LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
TOP_LEFT_TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
INSIDE, OUTSIDE = DrawnFace(200, 200), DrawnFace(900, 300)


@pytest.fixture
def zoned(make_order: Callable[..., Order]) -> Callable[[Zone], World]:
    """Makes a world with an active order whose `cam-1` has this zone."""

    def make(zone: Zone) -> World:
        world = World(options=DetectOptions(zones=Zones(cameras={"cam-1": zone})))
        world.publish(make_order())
        return world

    return make


def test_a_face_outside_is_neither_counted_nor_followed_nor_handed_on(zoned: Callable[[Zone], World]) -> None:
    world = zoned(Zone(polygon=LEFT_HALF))
    assert world.watch(10, [OUTSIDE]) == []
    assert (world.count("faces"), world.count("tracks")) == (0, 0)
    found = world.watch(10, [INSIDE, OUTSIDE])
    assert [round(one.shot.box.left) for one in found] == [round(float(INSIDE.box_4[0]))]
    assert (world.count("faces"), world.count("tracks")) == (10, 1)


def test_in_the_box_of_the_region_but_outside_the_polygon_is_outside(zoned: Callable[[Zone], World]) -> None:
    world = zoned(Zone(polygon=TOP_LEFT_TRIANGLE))
    assert world.watch(10, [DrawnFace(1000, 500)]) == []
    assert len(world.watch(10, [INSIDE])) == 1


def test_a_face_is_outside_as_soon_as_its_middle_is(zoned: Callable[[Zone], World]) -> None:
    """The middle of the box of a drawn face is 0.5 of its side to the right of `left`."""
    border_px = SIZE_WH[0] / 2
    assert len(zoned(Zone(polygon=LEFT_HALF)).watch(10, [DrawnFace(border_px - 73, 200)])) == 1
    assert zoned(Zone(polygon=LEFT_HALF)).watch(10, [DrawnFace(border_px - 67, 200)]) == []


def test_only_the_box_of_the_region_and_what_is_around_it_is_shown(zoned: Callable[[Zone], World]) -> None:
    world = zoned(Zone(polygon=LEFT_HALF))
    world.watch(1, [])
    width, height = SIZE_WH
    # A tenth of the longest side around. What is below the service's 960 px is seen as it is.
    assert world.finder.sizes_wh == [(round((0.5 + 0.1) * width), height)]


def test_a_shot_from_a_region_lies_where_it_lies_in_the_full_picture(zoned: Callable[[Zone], World]) -> None:
    right = tuple((x + 0.5, y) for x, y in LEFT_HALF)
    face = DrawnFace(840.4, 300.2)
    (whole,) = zoned(Zone()).watch(8, [face])
    (cut,) = zoned(Zone(polygon=right)).watch(8, [face])
    np.testing.assert_allclose(cut.shot.landmarks_px, whole.shot.landmarks_px, atol=0.01)
    np.testing.assert_allclose(cut.shot.landmarks_px, face.landmarks_52.ravel(), atol=0.01)
    crops = [np.frombuffer(one.shot.crop_rgb, np.uint8).astype(int) for one in (cut, whole)]
    assert np.abs(crops[0] - crops[1]).max() <= 2


@pytest.mark.parametrize("size_wh", [(1280, 720), (1281, 719), (1920, 1080), (333, 777)], ids=str)
def test_every_pixel_of_a_region_comes_back_to_its_own_place(
    watched: World, size_wh: tuple[int, int]
) -> None:
    """The slow way: a bright pixel is looked for in what is shown, and must lie where it was drawn."""
    width, height = size_wh
    zone = Zone(polygon=((0.31, 0.42), (0.93, 0.42), (0.77, 0.88)), smallest_eye_distance_px=4)
    x, y = int(0.6 * width), int(0.6 * height)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y, x] = 255
    frame = watched.frame(jpeg=jpeg.encode(picture, 100), width_px=width, height_px=height)
    shown = show(frame, zone, 320)
    assert shown.scale == 1
    seen_y, seen_x = np.unravel_index(shown.picture_HWC.sum(axis=2).argmax(), shown.picture_HWC.shape[:2])
    points = np.array([[seen_x, seen_y]] * 5, np.float32)
    found = Detections(np.tile(points[:1], 2), points[None], np.ones(1, np.float32))
    back = shown.in_small(found).scaled(shown.scale)
    assert back.boxes_N4[0].tolist() == [x, y, x, y]
    assert back.landmarks_N52[0, 0].tolist() == [x, y]


@pytest.mark.parametrize(
    "zone",
    [
        Zone(polygon=LEFT_HALF),
        Zone(smallest_eye_distance_px=40),
        Zone(polygon=LEFT_HALF, smallest_eye_distance_px=40),
    ],
    ids=["region", "coarse", "both"],
)
def test_a_face_outside_or_too_small_is_blurred_in_the_context_all_the_same(
    zoned: Callable[[Zone], World], zone: Zone
) -> None:
    """The detector is one that finds what it is shown: the region's pixels, at the zone's scale."""
    world = zoned(zone)
    small = DrawnFace(100, 450, side=60)  # 20 px between the eyes
    world.finder.sees = lambda face, size_wh, side_px: (
        face.left < size_wh[0] / 0.75 and (face.side > 100 or side_px >= 960)
    )
    found = of(world.watch(8, [INSIDE, OUTSIDE, small]), INSIDE)
    context = jpeg.decode(found.shot.context_jpeg)
    clear = jpeg.decode(world.picture_jpeg, min_longest_px=960)
    for other in (OUTSIDE, small):
        assert face_region(context, other).std() < 0.5 * face_region(clear, other).std()
    change = face_region(context, INSIDE).astype(int) - face_region(clear, INSIDE)
    assert np.abs(change).mean() < 12


def test_a_camera_without_a_zone_is_searched_once_a_frame(watched: World) -> None:
    assert len(watched.watch(8, [INSIDE])) == 1
    assert len(watched.finder.sizes_wh) == 8


def test_a_face_smaller_than_the_zone_searches_for_is_not_handed_on(zoned: Callable[[Zone], World]) -> None:
    eyes_px = float(INSIDE.landmarks_52[1, 0] - INSIDE.landmarks_52[0, 0])
    assert zoned(Zone(probe_eye_distance_px=1.15 * eyes_px)).watch(10, [INSIDE]) == []
    assert zoned(Zone(probe_eye_distance_px=1.5 * eyes_px)).watch(10, [INSIDE]) == []
    assert len(zoned(Zone(probe_eye_distance_px=0.9 * eyes_px)).watch(10, [INSIDE])) == 1


def test_the_detector_is_asked_at_the_scale_that_finds_the_smallest_face(
    zoned: Callable[[Zone], World],
) -> None:
    world = zoned(Zone(smallest_eye_distance_px=4 * FOUND_EYE_DISTANCE_PX))
    world.watch(1, [])
    assert world.finder.sides_px == [SIZE_WH[0] // 4]


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_faces_are_looked_for_in_every_nth_picture_and_followed_between(
    zoned: Callable[[Zone], World], nth: int
) -> None:
    world = zoned(Zone(every_nth=nth))
    found = [one for number in range(30) for one in world.watch(1, [DrawnFace(200 + 8 * number, 200)])]
    assert len(world.finder.sizes_wh) == 30 // nth
    assert world.skipped("between") == 30 - 30 // nth
    assert len({one.shot.track_id for one in found}) == len(found) == 1
    assert world.count("tracks") == 1


def test_after_a_damaged_picture_the_next_one_is_looked_at(zoned: Callable[[Zone], World]) -> None:
    world = zoned(Zone(every_nth=3))
    world.watch(1, [], jpeg=world.picture_jpeg[: len(world.picture_jpeg) // 2] + b"\xff\xd9")
    world.watch(1, [])
    assert world.skipped("unreadable") == 1
    assert len(world.finder.sizes_wh) == 1
