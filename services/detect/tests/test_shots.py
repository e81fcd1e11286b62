"""When a face is handed on, how often, and what of the frame goes with it."""

from collections.abc import Callable

import numpy as np
import pytest
from structlog.testing import capture_logs

from overt.contracts.messages import CaptureEnded, FaceFound
from overt.contracts.orders import Order
from overt.detect import jpeg
from overt.recognition.align import align_crop

from .conftest import FRAME_NS, DrawnFace, World, face_region, of

FACE = DrawnFace(200, 200)


def ended(world: World) -> CaptureEnded:
    return CaptureEnded("d1", "cam-1", world.clock.now_ns())


def test_a_good_face_is_handed_on_within_200_ms(watched: World) -> None:
    begun_ns = watched.clock.now_ns() + FRAME_NS
    frames = 0
    found: list[FaceFound] = []
    while not found:
        found = watched.watch(1, [FACE])
        frames += 1
        assert frames < 10
    assert watched.clock.now_ns() - begun_ns <= 200_000_000
    assert found[0].shot.number == 1


def test_a_face_that_stays_as_good_is_handed_on_once(watched: World) -> None:
    assert len(watched.watch(60, [FACE])) == 1
    assert watched.count("shots") == 1
    assert watched.count("tracks") == 1
    assert watched.count("faces") == 60


def test_a_face_that_comes_nearer_is_handed_on_at_most_five_times_in_order(watched: World) -> None:
    found = [
        one
        for side in np.linspace(50, 300, 150)
        for one in watched.watch(1, [DrawnFace(500 - side / 2, 300 - side / 2, side)])
    ]
    assert 2 <= len(found) <= 5
    assert [one.shot.number for one in found] == list(range(1, len(found) + 1))
    assert len({one.shot.track_id for one in found}) == 1
    qualities = [one.shot.quality for one in found]
    assert qualities == sorted(qualities)


@pytest.mark.parametrize(
    "face", [DrawnFace(200, 200, side=16), DrawnFace(200, 200, score=0.4), DrawnFace(-70, 200)], ids=str
)
def test_a_face_too_small_too_doubtful_or_cut_off_is_never_handed_on(watched: World, face: DrawnFace) -> None:
    assert watched.watch(20, [face]) == []
    assert watched.handle(ended(watched)) == []


def test_a_doubtful_face_is_not_counted(watched: World) -> None:
    watched.watch(5, [FACE, DrawnFace(700, 200, score=0.4)])
    assert watched.count("faces") == 5


def test_the_end_of_capture_hands_on_what_still_waited(watched: World) -> None:
    assert watched.watch(3, [FACE]) == []
    assert [one.shot.number for one in watched.handle(ended(watched))] == [1]
    assert watched.handle(ended(watched)) == []


def test_a_frame_that_never_comes_does_not_hold_a_shot_back(watched: World) -> None:
    assert watched.watch(3, [FACE]) == []
    watched.clock.advance(0.2)
    assert len(watched.handle()) == 1
    assert watched.handle() == []


def test_a_camera_silent_for_long_is_forgotten_and_its_faces_are_new_when_it_returns(watched: World) -> None:
    first = watched.watch(8, [FACE])
    watched.clock.advance(30)
    assert watched.handle() == []
    again = watched.watch(8, [FACE])
    assert len(first) == len(again) == 1
    assert first[0].shot.track_id != again[0].shot.track_id


def test_two_cameras_do_not_share_a_track(world: World, make_order: Callable[..., Order]) -> None:
    world.publish(make_order(camera_ids=("cam-1", "cam-2")))
    found = world.watch(8, [FACE]) + world.watch(8, [FACE], camera_id="cam-2")
    assert [one.shot.camera_id for one in found] == ["cam-1", "cam-2"]
    assert len({one.shot.track_id for one in found}) == 2


def test_another_deployment_at_the_same_camera_begins_anew(
    watched: World, make_order: Callable[..., Order]
) -> None:
    first = watched.watch(8, [FACE])
    watched.publish(make_order(deployment_id="d2"))
    second = watched.watch(8, [FACE], deployment_id="d2")
    assert [one.deployment_id for one in first + second] == ["d1", "d2"]
    assert first[0].shot.track_id != second[0].shot.track_id


def test_a_shot_says_where_the_face_is_in_the_full_picture_and_crops_from_it(watched: World) -> None:
    (found,) = watched.watch(8, [FACE])
    shot = found.shot
    assert found.fingerprint == watched.info.fingerprint
    assert watched.finder.sizes_wh[0] == (960, 540)
    np.testing.assert_allclose(np.reshape(shot.landmarks_px, (5, 2)), FACE.landmarks_52, atol=0.01)
    np.testing.assert_allclose(
        [shot.box.left, shot.box.top, shot.box.right, shot.box.bottom], FACE.box_4, atol=0.01
    )
    expected = align_crop(jpeg.decode(watched.picture_jpeg), FACE.landmarks_52)
    crop = np.frombuffer(shot.crop_rgb, np.uint8).reshape(expected.shape)
    assert np.abs(crop.astype(int) - expected).max() <= 2


def test_the_pictures_are_small_enough_for_a_page(watched: World) -> None:
    (found,) = watched.watch(8, [DrawnFace(300, 100, side=500)])
    assert max(jpeg.size_of(found.shot.portrait_jpeg)) == 400
    assert jpeg.size_of(found.shot.context_jpeg) == (960, 540)


def test_every_other_face_is_blurred_in_the_context_also_a_doubtful_one(watched: World) -> None:
    sure, doubtful, nobody = DrawnFace(600, 200), DrawnFace(900, 300, score=0.35), DrawnFace(600, 500)
    context = jpeg.decode(of(watched.watch(8, [FACE, sure, doubtful]), FACE).shot.context_jpeg)
    clear = jpeg.decode(watched.picture_jpeg, min_longest_px=960)
    for other in (sure, doubtful):
        assert face_region(context, other).std() < 0.5 * face_region(clear, other).std()
    for untouched in (FACE, nobody):
        change = face_region(context, untouched).astype(int) - face_region(clear, untouched)
        assert np.abs(change).mean() < 12


def test_every_other_face_is_blurred_in_the_portrait(watched: World) -> None:
    beside = DrawnFace(FACE.left + 105, FACE.top - 40, side=80, score=0.35)
    (accompanied,) = watched.watch(8, [FACE, beside])
    watched.clock.advance(30)
    watched.handle()
    (alone,) = watched.watch(8, [FACE])
    portrait, clear = jpeg.decode(accompanied.shot.portrait_jpeg), jpeg.decode(alone.shot.portrait_jpeg)
    changed = np.abs(portrait.astype(int) - clear).max(axis=2) > 25
    height, width = changed.shape
    assert changed[:, width // 2 :].mean() > 0.1
    assert changed[height // 3 :, : width // 2].mean() < 0.01


def test_nothing_of_a_face_is_logged_or_labelled(watched: World) -> None:
    with capture_logs() as logs:
        found = watched.watch(30, [FACE, DrawnFace(600, 200)])
        watched.handle(ended(watched))
    assert found
    assert logs == []
    labels = {
        value
        for metric in watched.registry.collect()
        for sample in metric.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert labels <= {"cam-1"}
