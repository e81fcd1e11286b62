"""What a user gets wrong: one clear line each, exit code 2, nothing lost."""

import fcntl
import socket
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from overt.cli.demo import DemoFiles

from .running import Run, overt

pytestmark = [pytest.mark.e2e, pytest.mark.models]


def refused(video: Path | str, watchlist: Path, data: Path, *more: str) -> str:
    """Run, check the exit code, and return the one line that says what is wrong."""
    run = overt(
        "up", "--video", video, "--watchlist", watchlist, "--data", data, "--once", "--port", "0", *more
    )
    return last_line(run)


def last_line(run: Run) -> str:
    assert run.code == 2, run.err
    assert run.out == ""
    assert "Traceback" not in run.err
    lines = [line for line in run.err.splitlines() if line.startswith("overt: ")]
    assert len(lines) == 1, run.err
    return lines[0]


def cut_file(path: Path, demo: DemoFiles) -> None:
    path.write_bytes(b"\x00" * 4_000)


def sound_only(path: Path, demo: DemoFiles) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def cut_short(path: Path, demo: DemoFiles) -> None:
    # The index of an MP4 stands at its end: without it nothing can be decoded.
    path.write_bytes(demo.clip.read_bytes()[:200_000])


@pytest.mark.parametrize("make", [cut_file, sound_only, cut_short], ids=lambda make: make.__name__)
def test_a_video_that_can_not_be_decoded_is_refused(
    make: Callable[[Path, DemoFiles], None], demo_files: DemoFiles, tmp_path: Path
) -> None:
    video = tmp_path / "clip.mp4"
    make(video, demo_files)
    assert "clip.mp4" in refused(video, demo_files.watchlist, tmp_path / "data")


def test_a_missing_video_is_refused_before_anything_is_begun(demo_files: DemoFiles, tmp_path: Path) -> None:
    assert "none.mp4" in refused(tmp_path / "none.mp4", demo_files.watchlist, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_watchlist_folder_without_pictures_is_refused(demo_files: DemoFiles, tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "notes.txt").write_text("nobody")
    assert "picture" in refused(demo_files.clip, tmp_path / "list", tmp_path / "data")


def huge(path: Path, demo: DemoFiles) -> None:
    Image.new("1", (30_000, 30_000)).save(path)


def cut_jpeg(path: Path, demo: DemoFiles) -> None:
    content = next(demo.watchlist.iterdir()).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def text(path: Path, demo: DemoFiles) -> None:
    path.write_text("no picture")


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [("huge.png", huge, "pixels"), ("cut.jpg", cut_jpeg, "truncated"), ("text.jpg", text, "")],
)
def test_a_picture_that_can_not_be_used_is_refused_with_its_name_and_reason(
    name: str, make: Callable[[Path, DemoFiles], None], reason: str, demo_files: DemoFiles, tmp_path: Path
) -> None:
    folder = tmp_path / "list"
    folder.mkdir()
    make(folder / name, demo_files)
    line = refused(demo_files.clip, folder, tmp_path / "data")
    assert name in line
    assert reason in line


def test_a_data_folder_in_use_is_refused(demo_files: DemoFiles, tmp_path: Path) -> None:
    data = tmp_path / "data" / "up"
    data.mkdir(parents=True)
    with (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process" in refused(demo_files.clip, demo_files.watchlist, tmp_path / "data")


def test_a_folder_that_is_not_overts_is_never_touched(demo_files: DemoFiles, tmp_path: Path) -> None:
    demo_data = tmp_path / "demo"
    demo_data.mkdir()
    (demo_data / "diary.txt").write_text("mine")
    run = overt("demo", "--once", "--port", "0", "--data", tmp_path)
    assert "other things" in last_line(run)
    assert (demo_data / "diary.txt").read_text() == "mine"


def test_a_busy_port_is_refused(demo_files: DemoFiles, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        run = overt(
            *("up", "--video", demo_files.clip, "--watchlist", demo_files.watchlist),
            *("--data", tmp_path, "--once", "--port", str(port)),
        )
    assert str(port) in last_line(run)
