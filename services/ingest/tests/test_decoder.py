import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from overt.ingest.decoder import DecoderProcess, start_process
from overt.ingest.piped import Counted, Finished, Job, Sampled

from .conftest import World
from .rtsp_camera import RtspCamera

RESTARTS = "overt_ingest_decoder_restarts_total"
# Enough that one descriptor each would show.
RESTARTED = 6
UP = "overt_ingest_decoder_up"


class Started:
    """Starts children and remembers them."""

    def __init__(self) -> None:
        self.children: list[DecoderProcess] = []

    def __call__(self, job: Job) -> DecoderProcess:
        self.children.append(DecoderProcess(job, os.environ))
        return self.children[-1]

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self.children]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    monkeypatch.setattr("overt.ingest.backoff.FIRST_S", 0.01)
    started = Started()
    yield started
    assert [pid for pid in started.pids if Path(f"/proc/{pid}").exists()] == []


def job_for(source: Path | str, kind: str = "file") -> Job:
    return Job(
        kind=kind,  # type: ignore[arg-type]
        address=str(source),
        shown="it",
        live=False,
        loop=False,
        rate_hz=25,
        decode_threads=1,
        open_timeout_s=5,
        read_timeout_s=5,
        jpeg_quality=85,
        first_sequence=7,
        clock_ahead_ns=0,
    )


def test_a_child_tells_every_picture_what_it_counted_and_its_end(clip: Path) -> None:
    child = start_process(job_for(clip))
    told: list[Sampled | Counted | Finished] = []
    while not told or not isinstance(told[-1], Finished):
        message = child.take(10)
        assert message is not None
        told.append(message)
    child.kill()
    assert [each.sequence for each in told if isinstance(each, Sampled)] == list(range(7, 27))
    assert sum(each.read for each in told if isinstance(each, Counted)) == 20
    assert told[-1] == Finished("end")


def test_a_child_says_why_it_can_decode_nothing(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    child = start_process(job_for(path))
    told = child.take(10)
    child.kill()
    assert isinstance(told, Finished)
    assert told.kind == "refused"
    assert "no video that can be read" in told.reason


def test_without_an_order_there_is_no_child_and_with_its_end_it_is_gone(
    world: World, live_camera: RtspCamera, started: Started
) -> None:
    with capture_logs() as logs, world.running(world.ingest(live_camera.address, start=started)):
        world.until(lambda: any(line["event"] == "nothing is captured" for line in logs))
        assert started.children == []
        assert world.count(UP) == 0
        world.publish(world.order())
        world.until(lambda: bool(world.frames))
        assert world.count(UP) == 1
        world.publish(world.order(revision=2, state="stopped"))
        world.until(lambda: not Path(f"/proc/{started.pids[0]}").exists())
        world.until(lambda: world.count(UP) == 0)
        world.until(lambda: any("was stopped" in str(line.get("reason")) for line in logs))
    assert len(started.children) == 1


def test_a_child_that_hangs_is_killed_and_another_one_goes_on(
    world: World, live_camera: RtspCamera, started: Started
) -> None:
    world.options = {"read_timeout_s": 0.5}
    world.publish(world.order())
    with world.running(world.ingest(live_camera.address, start=started)):
        world.until(lambda: bool(world.frames))
        os.kill(started.pids[0], signal.SIGSTOP)  # as deep in C as can be
        world.until(lambda: world.count(RESTARTS, reason="silent") >= 1)
        sent = len(world.frames)
        world.until(lambda: len(world.frames) > sent)
    assert [frame.sequence for frame in world.frames] == sorted({frame.sequence for frame in world.frames})


def test_a_stop_does_not_wait_for_a_child_that_hangs(
    world: World, live_camera: RtspCamera, started: Started
) -> None:
    world.options = {"read_timeout_s": 60}
    world.publish(world.order())
    with world.running(world.ingest(live_camera.address, start=started)) as running:
        world.until(lambda: bool(world.frames))
        os.kill(started.pids[0], signal.SIGSTOP)
        running.stop.set()
        world.until(lambda: running.over)
    assert len(world.ends) == 1


def test_a_camera_that_accepts_and_says_nothing_is_tried_again(world: World, started: Started) -> None:
    world.options = {"open_timeout_s": 0.5, "read_timeout_s": 0.5}
    world.publish(world.order())
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"rtsp://operator:hunter2@127.0.0.1:{mute.getsockname()[1]}/gate"
        with capture_logs() as logs, world.running(world.ingest(address, start=started)):
            world.until(lambda: len(started.children) >= 3)
    reasons = [line["reason"] for line in logs if line["event"] == "camera lost, trying again"]
    assert len(reasons) >= 2
    assert all(reason.startswith("rtsp://***@127.0.0.1:") for reason in reasons)
    assert "hunter2" not in repr(logs)
    assert world.frames == []


def test_a_child_that_dies_is_said_to_have_died_and_another_one_goes_on(
    world: World, live_camera: RtspCamera, started: Started
) -> None:
    world.publish(world.order())
    with capture_logs() as logs, world.running(world.ingest(live_camera.address, start=started)):
        world.until(lambda: bool(world.frames))
        os.kill(started.pids[0], signal.SIGSEGV)
        world.until(lambda: world.count(RESTARTS, reason="crashed") >= 1)
        sent = len(world.frames)
        world.until(lambda: len(world.frames) > sent)
    assert any(line.get("reason") == "its decoder ended by itself: signal 11" for line in logs)


def test_restarts_leave_no_descriptor_and_no_zombie(world: World, started: Started, clip: Path) -> None:
    def restart() -> None:
        child = started(job_for(clip))
        assert child.take(10) is not None
        child.kill()

    def held() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    restart()
    before = held()
    for _ in range(RESTARTED):
        restart()
    # What other tests left behind may come and go meanwhile. Zombies: the fixture looks for them.
    assert held() - before < RESTARTED


def test_the_password_and_the_services_secrets_are_in_no_command_line_and_no_environment(
    world: World, live_camera: RtspCamera, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = [{"camera_id": "north", "source": live_camera.address}]
    monkeypatch.setenv("OVERT_INGEST_CAMERAS", json.dumps(cameras))
    monkeypatch.setenv("OVERT_SERVICE_TOKEN", "hunter3")
    world.publish(world.order())
    with world.running(world.ingest(live_camera.address, start=started)):
        world.until(lambda: bool(world.frames))
        process = Path(f"/proc/{started.pids[0]}")
        seen = process.joinpath("cmdline").read_bytes()
        assert b"overt.ingest.child" in seen
        try:
            seen += process.joinpath("environ").read_bytes()
        except PermissionError:
            assert os.geteuid() != 0  # the child can't be dumped: only root may look
        else:
            assert b"PATH=" in seen
    assert b"hunter" not in seen


PARENT = """
import os, sys
from overt.ingest.decoder import DecoderProcess
from overt.ingest.piped import Job
import msgspec
child = DecoderProcess(msgspec.json.decode(sys.argv[1], type=Job), os.environ)
assert child.take(20) is not None
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("hung", [False, True], ids=["it works", "it hangs"])
def test_a_child_does_not_outlive_its_parent(world: World, live_camera: RtspCamera, hung: bool) -> None:
    job = msgspec.json.encode(job_for(live_camera.address, "rtsp")).decode()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        if hung:
            os.kill(pid, signal.SIGSTOP)
        parent.kill()
        world.until(lambda: not is_alive(pid))


def test_a_child_ends_when_nobody_holds_its_standard_input(live_camera: RtspCamera) -> None:
    child = DecoderProcess(job_for(live_camera.address, "rtsp"), os.environ)
    assert child.take(20) is not None
    child._pipes[0].close()
    told = child.take(20)
    while isinstance(told, Sampled | Counted):
        told = child.take(20)
    child.kill()
    assert told == Finished("crashed", "its decoder ended by itself: exit code 0")


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie whose new parent has not looked yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
