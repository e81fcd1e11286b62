from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from overt.ingest.camera import open_source, probe_source
from overt.ingest.errors import SourceLost
from overt.ingest.picture import OpenOptions
from overt.ingest.source import parse_source

from .clips import write_clip
from .conftest import World
from .rtsp_camera import RtspCamera


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("rtsp") / "stream.h264", 30)


@pytest.fixture
def camera(stream: Path) -> Iterator[RtspCamera]:
    camera = RtspCamera(stream, hangs_up=True)
    yield camera
    camera.close()


@pytest.fixture
def silent_camera(stream: Path) -> Iterator[RtspCamera]:
    camera = RtspCamera(stream, hangs_up=False)
    yield camera
    camera.close()


def test_a_camera_is_read_over_tcp(camera: RtspCamera) -> None:
    with open_source(parse_source(camera.address), OpenOptions(), print) as opened:
        sizes = {(picture.frame.width, picture.frame.height) for picture in opened.pictures}
    assert sizes == {(160, 96)}
    transports = [line for line in camera.requests if line.startswith("Transport")]
    assert transports
    assert all("RTP/AVP/TCP" in line for line in transports)


def test_a_probe_of_a_camera_decodes_nothing_and_shows_no_password(camera: RtspCamera) -> None:
    info = probe_source(camera.address)
    assert (info.width_px, info.height_px) == (160, 96)
    assert "hunter2" not in info.shown


def test_a_camera_that_falls_silent_is_lost_after_the_read_timeout(silent_camera: RtspCamera) -> None:
    options = OpenOptions(read_timeout_s=1.0)
    with open_source(parse_source(silent_camera.address), options, print) as opened:
        assert next(opened.pictures).frame.width == 160
        with pytest.raises(SourceLost, match="was lost: it sent nothing in time") as lost:
            list(opened.pictures)
    assert "hunter2" not in str(lost.value)


def test_a_camera_is_live_under_its_order_and_its_password_is_in_no_log(
    camera: RtspCamera, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overt.ingest.runner.FIRST_PAUSE_S", 0.01)
    with capture_logs() as logs, world.running(world.ingest(camera.address, live=False)):
        world.until(lambda: any(line["event"] == "nothing is captured" for line in logs))
        assert camera.requests == []
        before_ns = world.clock.now_ns()
        world.publish(world.order())
        world.until(lambda: len(world.ends) >= 2)  # it hung up and was opened again
        after_ns = world.clock.now_ns()
    assert all(frame.live for frame in world.frames)
    assert all(before_ns <= frame.captured_at_ns <= after_ns for frame in world.frames)
    assert "hunter2" not in repr(logs)
    assert "hunter2" not in repr(world.health.problems())


def test_a_stop_lets_a_silent_camera_go_before_its_read_timeout(
    silent_camera: RtspCamera, world: World
) -> None:
    world.publish(world.order())
    with world.running(world.ingest(silent_camera.address)) as running:
        world.until(lambda: bool(world.frames))
        stopped_s = world.clock.monotonic_s()
        running.stop.set()
        world.until(lambda: running.over)
        assert world.clock.monotonic_s() - stopped_s < 5.0  # the read timeout
    assert world.ends
