import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from overt.contracts.messages import FrameCaptured
from overt.detect.freshness import is_stale, skips
from overt.detect.jpeg import encode

BUDGET_NS = 500
JPEG = encode(np.zeros((8, 8, 3), np.uint8), 80)


def frame(camera: str, read_at_ns: int, *, live: bool = True) -> FrameCaptured:
    return FrameCaptured(
        deployment_id="d1",
        camera_id=camera,
        sequence=0,
        captured_at_ns=read_at_ns,
        read_at_ns=read_at_ns,
        live=live,
        width_px=8,
        height_px=8,
        jpeg=JPEG,
    )


def test_a_camera_that_is_on_time_has_every_frame_looked_at() -> None:
    frames = [frame("a", 600), frame("a", 700), frame("a", 1000)]
    assert skips(frames, 1100, BUDGET_NS) == {}


def test_a_camera_that_is_behind_is_caught_up_at_its_newest_frame() -> None:
    frames = [frame("a", 100), frame("a", 700), frame("a", 800)]
    assert skips(frames, 1100, BUDGET_NS) == {0: "stale", 1: "superseded"}


def test_a_frame_exactly_at_the_budget_is_fresh() -> None:
    assert not is_stale(frame("a", 600), 1100, BUDGET_NS)
    assert is_stale(frame("a", 599), 1100, BUDGET_NS)


def test_one_camera_behind_does_not_cost_another_a_frame() -> None:
    frames = [frame("late", 100), frame("quick", 800), frame("late", 200), frame("quick", 900)]
    assert skips(frames, 1100, BUDGET_NS) == {0: "stale", 2: "stale"}


def test_a_file_that_is_not_played_live_is_never_skipped() -> None:
    assert skips([frame("a", 0, live=False), frame("a", 1, live=False)], 10**9, BUDGET_NS) == {}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2000)), max_size=20))
def test_what_is_looked_at_is_fresh_and_the_newest_fresh_frame_is_always_looked_at(
    drawn: list[tuple[str, int]],
) -> None:
    # Frames of a camera arrive in the order they were read.
    frames = [frame(camera, at, live=camera != "c") for camera, at in sorted(drawn, key=lambda one: one[1])]
    skipped = skips(frames, 2000, BUDGET_NS)
    looked_at = [one for index, one in enumerate(frames) if index not in skipped]
    assert not [one for one in looked_at if is_stale(one, 2000, BUDGET_NS)]
    for camera in "abc":
        fresh = [one for one in frames if one.camera_id == camera and not is_stale(one, 2000, BUDGET_NS)]
        assert not fresh or fresh[-1] in looked_at
