"""The recording comes from cameras that speak RTSP, as in a street, not from a file: alone, and with one off for a while."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import pytest

from services.ingest.tests.rtsp_camera import CLOCK_HZ, RtspCamera

from .run import Outcome, Run
from .stage import RATE_HZ, Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
OFF_S = 5.0


class Cameras:
    """One for each of the stage's cameras; all play the recording from its beginning for whoever asks."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._clip = folder / "recording.h264"
        pictures = bare(stage.recording.path, self._clip)
        self._rate_hz = pictures / stage.recording.cycle_s
        self.playing = [self._new() for _ in stage.cameras]

    def _new(self, port: int = 0) -> RtspCamera:
        period = CLOCK_HZ / self._rate_hz
        return RtspCamera(
            self._clip,
            ending="goes on",
            port=port,
            rate_hz=self._rate_hz,
            ticks=lambda number: round(number * period),
        )

    def told(self) -> str:
        """Return what ingest is told of them."""
        return json.dumps(
            [
                {"camera_id": name, "source": camera.address, "rate_hz": RATE_HZ}
                for name, camera in zip(self._stage.cameras, self.playing, strict=True)
            ]
        )

    def off_and_on(self, number: int) -> None:
        """Switch one off, and on again after a while."""
        camera = self.playing[number]
        camera.close()
        self._stage.watch(OFF_S)
        self.playing[number] = self._new(camera.port)

    def close(self) -> None:
        for camera in self.playing:
            camera.close()


def bare(recording: Path, target: Path) -> int:
    """Write the pictures of a recording without its container; return how many there are."""
    with av.open(str(recording)) as source, av.open(str(target), "w", format="h264") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        count = 0
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
                count += 1
    return count


@pytest.fixture
def cameras(stage: Stage, tmp_path: Path) -> Iterator[Cameras]:
    with ExitStack() as undo:
        cameras = Cameras(stage, tmp_path)
        undo.callback(cameras.close)
        stage.begin_anew("ingest", OVERT_INGEST_CAMERAS=cameras.told())
        yield cameras


def test_cameras_over_rtsp_raise_the_alerts_that_their_labels_demand(
    survives: Survives, cameras: Cameras
) -> None:
    outcome = survives(lambda _: None)
    assert outcome.ended_by_themselves == []
    transports = [line for camera in cameras.playing for line in camera.requests if "Transport" in line]
    assert transports
    assert all("RTP/AVP/TCP" in line for line in transports)


def test_a_camera_that_was_off_for_a_while_is_read_on(survives: Survives, cameras: Cameras) -> None:
    assert survives(lambda _: cameras.off_and_on(0)).ended_by_themselves == []
