import itertools

import numpy as np
import pytest

from overt.recognition.detector import Detections
from overt.recognition.tracker import FaceTracker, TrackerOptions

SECOND_NS = 1_000_000_000


def faces(*places: tuple[float, float, float], score: float = 0.9) -> Detections:
    """Return faces by the middle and the side of their boxes."""
    boxes = [(x - side / 2, y - side / 2, x + side / 2, y + side / 2) for x, y, side in places]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros((len(places), 5, 2), np.float32),
        np.full(len(places), score, np.float32),
    )


def tracker(options: TrackerOptions | None = None) -> FaceTracker:
    numbers = itertools.count()
    return FaceTracker(new_id=lambda: f"t{next(numbers)}", options=options)


def test_a_face_seen_once_is_no_track_and_one_that_stays_is_one() -> None:
    camera = tracker()

    ids = [camera.update(faces((100, 100, 40)), number * SECOND_NS // 25) for number in range(4)]

    assert ids == [(None,), ("t0",), ("t0",), ("t0",)]
    assert camera.alive == {"t0"}


@pytest.mark.parametrize("rate_hz", [25, 10, 5])
@pytest.mark.parametrize("side_px", [24, 60])
def test_a_walking_face_keeps_its_track_at_every_usual_rate(rate_hz: int, side_px: int) -> None:
    """A brisk walk across: two face widths a second, growing."""
    camera = tracker()
    seen: set[str | None] = set()

    for number in range(3 * rate_hz):
        at_s = number / rate_hz
        face = (100 + 2 * side_px * at_s, 200.0, side_px * (1 + 0.2 * at_s))
        seen.update(camera.update(faces(face), int(at_s * SECOND_NS)))

    assert seen == {None, "t0"}


def test_two_who_pass_each_other_at_a_distance_keep_their_tracks() -> None:
    camera, seen = tracker(), {0: set[str | None](), 1: set[str | None]()}

    for number in range(50):
        x = 100 + 8.0 * number
        ids = camera.update(faces((x, 100, 40), (600 - x, 200, 40)), number * SECOND_NS // 25)
        for index, track_id in enumerate(ids):
            seen[index].add(track_id)

    assert seen[0] - {None} != seen[1] - {None}
    assert all(len(ids - {None}) == 1 for ids in seen.values())


def test_a_face_hidden_for_half_a_second_is_the_same_and_after_two_seconds_another() -> None:
    camera = tracker()
    for number in range(10):
        camera.update(faces((100, 100, 40)), number * SECOND_NS // 25)
    nobody = faces()

    for number in range(10, 22):
        assert camera.update(nobody, number * SECOND_NS // 25) == ()
    back = [camera.update(faces((100, 100, 40)), number * SECOND_NS // 25) for number in range(22, 25)]
    for number in range(25, 80):
        camera.update(nobody, number * SECOND_NS // 25)
    gone = camera.alive
    again = [camera.update(faces((100, 100, 40)), number * SECOND_NS // 25) for number in range(80, 83)]

    assert back[-1] == ("t0",)
    assert gone == frozenset()
    assert again[-1] == ("t1",)


def test_a_track_that_is_over_is_told_once() -> None:
    camera = tracker()
    for number in range(5):
        camera.update(faces((100, 100, 40)), number * SECOND_NS // 25)

    told: list[str] = []
    for number in range(5, 80):
        camera.update(faces(), number * SECOND_NS // 25)
        told.extend(camera.ended)

    assert told == ["t0"]


def test_a_doubtful_detection_continues_a_track_but_begins_none() -> None:
    camera = tracker()

    begun = [camera.update(faces((500, 100, 40), score=0.62), n * SECOND_NS // 25) for n in range(5)]
    for number in range(5, 8):
        camera.update(faces((100, 100, 40)), number * SECOND_NS // 25)
    gone_on = [camera.update(faces((100, 100, 40), score=0.62), n * SECOND_NS // 25) for n in range(8, 12)]

    assert set(begun) == {(None,)}
    assert set(gone_on) == {("t0",)}


def test_stills_can_be_tracked_from_the_first_picture() -> None:
    assert tracker(TrackerOptions(min_hits=1)).update(faces((100, 100, 40)), 0) == ("t0",)


def test_two_cameras_share_nothing() -> None:
    first, second = tracker(), tracker()
    for number in range(3):
        first.update(faces((100, 100, 40)), number * SECOND_NS // 25)

    assert second.alive == frozenset()
    assert second.update(faces((100, 100, 40)), 0) == (None,)
