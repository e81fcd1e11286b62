"""Two people meet: no id goes from one to the other, whatever that costs in ids.

The faces are exact, the detector is one that suppresses the less sure of two boxes that overlap, as the real one
does: who walks behind is not there for a while.
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from overt.recognition.detections import Detections, suppress
from overt.recognition.tracker import FaceTracker, TrackerOptions

SECOND_NS = 1_000_000_000
SIDE_PX = 40.0
NMS_IOU = 0.3
Place = tuple[float, float, float]
Ids = list[str | None]


def see(places: list[Place | None], scores: list[float]) -> tuple[Detections, list[int]]:
    """Return what the detector finds of square faces (middle and side), and whose each of them is."""
    there = [number for number, place in enumerate(places) if place is not None]
    shown = [place for place in places if place is not None]
    boxes = np.array([(x - s / 2, y - s / 2, x + s / 2, y + s / 2) for x, y, s in shown], np.float32)
    boxes, sure = boxes.reshape(-1, 4), np.array([scores[number] for number in there], np.float32)
    kept = suppress(boxes, sure, NMS_IOU)
    found = Detections(boxes[kept], np.zeros((len(kept), 5, 2), np.float32), sure[kept])
    return found, [there[number] for number in kept.tolist()]


def follow(
    where: Callable[[float], list[Place | None]], *, seconds: float, rate_hz: float, options: TrackerOptions
) -> Iterator[tuple[float, dict[int, str | None], FaceTracker]]:
    """Yield the second, the id of each person that is seen, and the tracker."""
    numbers = itertools.count()
    tracker = FaceTracker(new_id=lambda: f"t{next(numbers)}", options=options)
    for number in range(int(seconds * rate_hz)):
        at_s = number / rate_hz
        found, whose = see(where(at_s), [0.92, 0.88])
        ids = tracker.update(found, int(at_s * SECOND_NS))
        yield at_s, dict(zip(whose, ids, strict=True)), tracker


def ids_of(
    where: Callable[[float], list[Place | None]],
    *,
    seconds: float = 4.0,
    rate_hz: float = 25.0,
    options: TrackerOptions | None = None,
) -> tuple[Ids, Ids]:
    """Return the ids that each of two people had, one after another."""
    had: tuple[Ids, Ids] = ([], [])
    for _, ids, _ in follow(where, seconds=seconds, rate_hz=rate_hz, options=options or TrackerOptions()):
        for person, track_id in ids.items():
            if not had[person] or had[person][-1] != track_id:
                had[person].append(track_id)
    return had


def crossing(speed: float, apart_px: float, *, turn: bool = False) -> Callable[[float], list[Place | None]]:
    """Two who walk to each other at `speed` px a second and meet after 2 s; `turn`: and go back."""

    def where(at_s: float) -> list[Place | None]:
        away = speed * (2 - at_s)
        away = abs(away) if turn else away
        return [(500 - away, 100, SIDE_PX), (500 + away, 100 + apart_px, SIDE_PX)]

    return where


@pytest.mark.parametrize("turn", [False, True], ids=["on", "back"])
@pytest.mark.parametrize("rate_hz", [25, 12.5, 8])
@pytest.mark.parametrize("speed", [40, 100, 200])
@pytest.mark.parametrize("apart_px", [0, 10, 20])
def test_two_who_cross_never_share_an_id(speed: float, apart_px: float, rate_hz: float, turn: bool) -> None:
    first, second = ids_of(crossing(speed, apart_px, turn=turn), rate_hz=rate_hz)
    assert not (set(first) & set(second)) - {None}
    assert first[-1] is not None
    assert second[-1] is not None


def test_without_the_margin_they_would_share_one() -> None:
    """What the rule is there for: taken away, who turns back takes the other's id along."""
    careless = TrackerOptions(margin=-9, touch=9)
    first, second = ids_of(crossing(100, 10, turn=True), rate_hz=8, options=careless)
    assert (set(first) & set(second)) - {None}


def test_who_walks_past_at_two_face_widths_keeps_the_id() -> None:
    first, second = ids_of(crossing(100, 2 * SIDE_PX))
    assert [len(set(ids) - {None}) for ids in (first, second)] == [1, 1]


def test_two_who_walk_side_by_side_keep_their_ids() -> None:
    first, second = ids_of(
        lambda at_s: [(100 + 60 * at_s, 100, SIDE_PX), (100 + SIDE_PX * 1.1 + 60 * at_s, 104, SIDE_PX)]
    )
    assert [len(set(ids) - {None}) for ids in (first, second)] == [1, 1]


def hidden(from_s: float, to_s: float) -> Callable[[float], list[Place | None]]:
    """One who stands still and is hidden for a while."""
    return lambda at_s: [None if from_s <= at_s < to_s else (100.0, 100.0, SIDE_PX)]


@pytest.mark.parametrize("rate_hz", [25, 12.5, 8])
def test_a_face_hidden_for_six_tenths_of_a_second_is_the_same(rate_hz: float) -> None:
    had, _ = ids_of(hidden(1, 1.6), rate_hz=rate_hz)
    assert set(had) - {None} == {"t0"}


@pytest.mark.parametrize("rate_hz", [25, 12.5, 8])
def test_a_face_hidden_for_longer_than_a_track_lives_is_another(rate_hz: float) -> None:
    lifespan_s = TrackerOptions().lifespan_ns / SECOND_NS
    had, _ = ids_of(hidden(1, 1 + lifespan_s + 2 / rate_hz), rate_hz=rate_hz)
    assert [track_id for track_id in had if track_id is not None] == ["t0", "t1"]


def test_whoever_stands_up_in_front_of_a_face_does_not_take_its_id() -> None:
    """At first seen doubtfully beside it, then alone at its place, as in a crowd seen from above."""
    numbers = itertools.count()
    tracker = FaceTracker(new_id=lambda: f"t{next(numbers)}")
    behind, front = (100.0, 100.0, SIDE_PX), (118.0, 116.0, SIDE_PX)
    before: set[str | None] = set()
    for number in range(10):
        found, _ = see([behind], [0.9])
        before.update(tracker.update(found, number * SECOND_NS // 25))
    for number in range(10, 12):
        found, _ = see([behind, front], [0.8, 0.35])
        tracker.update(found, number * SECOND_NS // 25)
    after: set[str | None] = set()
    for number in range(12, 25):
        found, _ = see([front], [0.75])
        after.update(tracker.update(found, number * SECOND_NS // 25))
    assert before == {None, "t0"}
    assert after - {None}
    assert "t0" not in after


def test_a_track_in_doubt_ends_once_and_nothing_has_its_id_again() -> None:
    ended: list[str] = []
    seen: set[str] = set()
    for _, ids, tracker in follow(crossing(100, 10), seconds=6, rate_hz=25, options=TrackerOptions()):
        ended.extend(tracker.ended)
        assert not set(tracker.ended) & (set(ids.values()) | tracker.alive)
        seen.update(track_id for track_id in ids.values() if track_id is not None)
    assert len(ended) == len(set(ended))
    assert set(ended) == seen - tracker.alive
    assert {"t0", "t1"} <= set(ended)


def test_while_it_is_in_doubt_a_face_has_no_id() -> None:
    at_meeting = [
        set(ids.values())
        for at_s, ids, _ in follow(crossing(100, 10), seconds=4, rate_hz=25, options=TrackerOptions())
        if 2 <= at_s < 2.1
    ]
    assert at_meeting
    assert all(ids == {None} for ids in at_meeting)
