from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from structlog.testing import capture_logs

from overt.ingest.camera import open_source, probe_source
from overt.ingest.decoder import start_process
from overt.ingest.errors import SourceLost
from overt.ingest.picture import OpenOptions
from overt.ingest.source import parse_source

from .clips import write_clip
from .conftest import World
from .rtsp_camera import PERIOD_TICKS, Ending, RtspCamera

RESTARTS = "overt_ingest_decoder_restarts_total"
DROPPED = "overt_ingest_frames_dropped_total"


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("rtsp") / "stream.h264", 30)


class NewCamera(Protocol):
    def __call__(self, *, ending: Ending, clip: Path | None = None, **options: object) -> RtspCamera: ...


@pytest.fixture
def new_camera(stream: Path) -> Iterator[NewCamera]:
    with ExitStack() as stack:

        def new(*, ending: Ending, clip: Path | None = None, **options: object) -> RtspCamera:
            camera = RtspCamera(clip or stream, ending=ending, **options)  # type: ignore[arg-type]
            stack.callback(camera.close)
            return camera

        yield new


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overt.ingest.backoff.FIRST_S", 0.01)
    monkeypatch.setattr("overt.ingest.backoff.LONGEST_S", 0.2)


def test_a_camera_is_read_over_tcp(new_camera: NewCamera) -> None:
    camera = new_camera(ending="hangs up")
    with open_source(parse_source(camera.address), OpenOptions(), print) as opened:
        sizes = {(picture.frame.width, picture.frame.height) for picture in opened.pictures}
    assert sizes == {(160, 96)}
    transports = [line for line in camera.requests if line.startswith("Transport")]
    assert transports
    assert all("RTP/AVP/TCP" in line for line in transports)


def test_a_probe_of_a_camera_decodes_nothing_and_shows_no_password(new_camera: NewCamera) -> None:
    info = probe_source(new_camera(ending="hangs up").address)
    assert (info.width_px, info.height_px) == (160, 96)
    assert "hunter2" not in info.shown


def test_a_camera_that_falls_silent_is_lost_after_the_read_timeout(new_camera: NewCamera) -> None:
    camera, options = new_camera(ending="falls silent"), OpenOptions(read_timeout_s=1.0)
    with open_source(parse_source(camera.address), options, print) as opened:
        assert next(opened.pictures).frame.width == 160
        with pytest.raises(SourceLost, match="was lost: it sent nothing in time") as lost:
            list(opened.pictures)
    assert "hunter2" not in str(lost.value)


def test_a_camera_is_live_under_its_order_and_its_password_is_in_no_log(
    new_camera: NewCamera, world: World
) -> None:
    camera = new_camera(ending="hangs up")
    ingest = world.ingest(camera.address, live=False, start=start_process)
    with capture_logs() as logs, world.running(ingest):
        world.until(lambda: any(line["event"] == "nothing is captured" for line in logs))
        assert camera.requests == []
        before_ns = world.clock.now_ns()
        world.publish(world.order())
        world.until(lambda: len(world.ends) >= 2)  # it hung up and was opened again
    after_ns = world.clock.now_ns()
    assert world.frames
    assert all(frame.live for frame in world.frames)
    assert all(before_ns <= frame.captured_at_ns <= after_ns for frame in world.frames)
    assert "hunter2" not in repr(logs)
    assert "hunter2" not in repr(world.health.problems())


def test_a_silent_camera_is_lost_and_opened_again(new_camera: NewCamera, world: World) -> None:
    world.options = {"read_timeout_s": 0.5}
    world.publish(world.order())
    with world.running(world.ingest(new_camera(ending="falls silent").address, start=start_process)):
        world.until(lambda: world.count(RESTARTS, reason="lost") >= 1)
        sent = len(world.frames)
        world.until(lambda: len(world.frames) > sent)


def test_a_camera_that_was_off_for_a_while_goes_on_in_one_line_of_time(
    new_camera: NewCamera, world: World
) -> None:
    camera = new_camera(ending="goes on")
    world.publish(world.order())
    with world.running(world.ingest(camera.address, start=start_process)):
        world.until(lambda: len(world.frames) >= 3)
        camera.close()
        world.until(lambda: world.count(RESTARTS, reason="lost") >= 2)  # nobody listens at its port
        sent = len(world.frames)
        new_camera(ending="goes on", port=camera.port)
        world.until(lambda: len(world.frames) >= sent + 3)
    assert rising([frame.captured_at_ns for frame in world.frames])
    assert rising([frame.sequence for frame in world.frames])


def test_a_camera_that_changes_its_resolution_is_read_on(
    new_camera: NewCamera, world: World, tmp_path: Path
) -> None:
    both = tmp_path / "both.h264"
    sizes = [(160, 96), (320, 192)]
    both.write_bytes(
        b"".join(write_clip(tmp_path / f"{w}.h264", 20, size_px=(w, h)).read_bytes() for w, h in sizes)
    )
    world.publish(world.order())
    with world.running(world.ingest(new_camera(ending="goes on", clip=both).address, start=start_process)):
        # The clip is played anew, and whoever is late sees its second size first: both ways are seen.
        world.until(lambda: len(changes([(f.width_px, f.height_px) for f in world.frames])) >= 3)
    assert {(frame.width_px, frame.height_px) for frame in world.frames} == set(sizes)
    assert world.count(RESTARTS, reason="crashed") == 0


def test_corrupt_packets_are_counted_and_the_camera_is_read_on(new_camera: NewCamera, world: World) -> None:
    camera = new_camera(ending="goes on", spoilt=range(12, 18))
    world.publish(world.order())
    with world.running(world.ingest(camera.address, start=start_process)):
        world.until(lambda: world.count(DROPPED, reason="corrupt") >= 1)
        sent = len(world.frames)
        world.until(lambda: len(world.frames) >= sent + 15)
    assert world.count(RESTARTS, reason="crashed") == 0


@pytest.mark.parametrize(
    "jump",
    [3600 * 90_000, -3600 * 90_000, 2**31],
    ids=["an hour ahead", "an hour back", "half way round the counter"],
)
def test_a_camera_whose_time_jumps_is_read_on_in_one_line_of_time(
    new_camera: NewCamera, world: World, jump: int
) -> None:
    camera = new_camera(
        ending="goes on", ticks=lambda number: number * PERIOD_TICKS + (jump if number >= 10 else 0)
    )
    world.publish(world.order())
    with world.running(world.ingest(camera.address, start=start_process)):
        world.until(lambda: len(world.frames) >= 25)
    assert rising([frame.captured_at_ns for frame in world.frames])
    assert world.count(RESTARTS, reason="lost") == 0


def test_a_stop_lets_a_silent_camera_go_before_its_read_timeout(new_camera: NewCamera, world: World) -> None:
    world.options = {"read_timeout_s": 60}
    world.publish(world.order())
    camera = new_camera(ending="falls silent")
    with world.running(world.ingest(camera.address, start=start_process)) as running:
        world.until(lambda: bool(world.frames))
        running.stop.set()
        world.until(lambda: running.over)  # its patience is less than the timeout
    assert world.ends


def rising(values: list[int]) -> bool:
    return values == sorted(set(values))


def changes(values: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The values without those that equal the one before."""
    return [value for place, value in enumerate(values) if place == 0 or value != values[place - 1]]
