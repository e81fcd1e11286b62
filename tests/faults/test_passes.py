from pathlib import Path

import pytest

from .passes import Pass, Playing, Recording, appearances, passes, undisturbed_s

RECORDING = Recording(Path("clip.mp4"), cycle_s=48, in_s=12, out_s=36)


def view(from_s: float, to_s: float, camera_id: str = "camera-1") -> Pass:
    return Pass(camera_id, "deployment-1", from_s, to_s)


def test_a_recording_that_goes_round_shows_the_man_once_a_round_and_a_stop_cuts_a_pass() -> None:
    played = [Playing("camera-1", "deployment-1", 100, 100 + 48 + 20)]
    assert passes(RECORDING, played) == [view(112, 136), view(160, 168)]


def test_what_ends_before_the_man_comes_has_no_pass() -> None:
    assert passes(RECORDING, [Playing("camera-1", "deployment-1", 0, 12)]) == []


def test_passes_within_the_window_are_one_appearance_and_cameras_are_apart() -> None:
    near, far, other = view(10, 20), view(31, 40), view(10, 20, "camera-2")
    assert appearances([view(0, 1), near, far, other], 10) == [[view(0, 1), near], [far], [other]]


@pytest.mark.parametrize(
    ("disturbed", "longest_s"),
    [
        ([], 20),
        ([(-5, 200)], 0),
        ([(0, 105)], 15),
        ([(110, 112), (111, 115)], 10),
        ([(118, 119), (101, 102)], 16),
        ([(101, 119), (104, 105)], 1),
    ],
)
def test_the_longest_undisturbed_time_is_between_two_disturbances(
    disturbed: list[tuple[float, float]], longest_s: float
) -> None:
    assert undisturbed_s(view(100, 120), disturbed) == longest_s
