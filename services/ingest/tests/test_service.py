import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import simplejpeg  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from overt.contracts.topics import FRAMES
from overt.ingest.errors import DecoderFailed, SourceLost, SourceRefused
from overt.ingest.picture import OpenedSource, OpenOptions, OpenSource, Picture, SourceInfo
from overt.ingest.source import Source

from .clips import frame_of, gradient, spoil, write_clip
from .conftest import CAMERA, PATIENCE_S, World, steps

DROPPED = "overt_ingest_frames_dropped_total"
MS = 1_000_000


def endless(script: Callable[[], Iterator[Picture]], lost: list[str]) -> OpenSource:
    """Stands for a camera: each opening plays `script` anew."""

    @contextmanager
    def opener(
        source: Source, options: OpenOptions, on_spoilt: Callable[[str], None]
    ) -> Iterator[OpenedSource]:
        lost.append("opened")
        yield OpenedSource(SourceInfo(source.shown, 64, 48, 25.0), script())

    return opener


def picture(pts_ns: int | None = None) -> Picture:
    return Picture(frame_of(gradient(64, 48), "yuv420p"), pts_ns)


def test_every_picture_of_a_clip_becomes_a_frame_of_its_deployment(world: World, clip: Path) -> None:
    world.publish(world.order())
    ingest = world.ingest(clip, live=False)
    with world.running(ingest):
        world.until(lambda: bool(world.ends))
        assert ingest.finished.wait(10)
    assert [frame.sequence for frame in world.frames] == list(range(20))
    assert steps([frame.captured_at_ns for frame in world.frames]) == {40 * MS}
    assert {(f.deployment_id, f.camera_id, f.width_px, f.height_px, f.live) for f in world.frames} == {
        ("d1", CAMERA, 160, 96, False)
    }
    assert simplejpeg.decode_jpeg_header(world.frames[0].jpeg)[:2] == (96, 160)
    assert world.ends[0].captured_at_ns == world.frames[-1].captured_at_ns
    assert world.seen[-1] is world.ends[0]
    assert world.count("overt_ingest_frames_read_total") == 20
    assert world.count("overt_ingest_frames_sent_total") == 20


def test_frames_stand_on_the_topic_only_sealed(world: World, clip: Path) -> None:
    world.publish(world.order())
    with world.running(world.ingest(clip, live=False)):
        world.until(lambda: len(world.frames) >= 5)
        held = world.broker.held_records(FRAMES.name)
    assert not any(b"\xff\xd8\xff" in (record.value or b"") for record in held)


def test_a_slow_reader_loses_nothing_as_fast_as_possible(world: World, tmp_path: Path) -> None:
    # More pictures than the topic holds: the runner has to wait for this test to take them.
    pictures = 150
    world.publish(world.order())
    with world.running(world.ingest(write_clip(tmp_path / "long.mp4", pictures), live=False)):
        world.until(lambda: bool(world.ends))
    assert [frame.sequence for frame in world.frames] == list(range(pictures))
    assert world.count(DROPPED, reason="superseded") == 0


def test_a_played_clip_carries_wall_time_and_keeps_its_distances(world: World, clip: Path) -> None:
    world.publish(world.order())
    before_ns = world.clock.now_ns()
    with world.running(world.ingest(clip, live=True)):
        world.until(lambda: bool(world.ends))
    times = [frame.captured_at_ns for frame in world.frames]
    assert before_ns <= times[0] <= times[-1] <= world.clock.now_ns()
    sequences = [frame.sequence for frame in world.frames]
    assert [time - times[0] for time in times] == [40 * MS * (number - sequences[0]) for number in sequences]
    assert all(frame.live and frame.read_at_ns >= frame.captured_at_ns for frame in world.frames)
    lost = sum(world.count(DROPPED, reason=reason) for reason in ("superseded", "late"))
    assert len(world.frames) + lost == 20


def test_the_target_rate_thins_a_faster_clip_and_counts_it_apart_from_losses(
    world: World, clip: Path
) -> None:
    world.publish(world.order())
    with world.running(world.ingest(clip, live=False, rate_hz=5)):
        world.until(lambda: bool(world.ends))
    assert steps([frame.captured_at_ns for frame in world.frames]) == {200 * MS}
    assert world.count("overt_ingest_frames_sampled_out_total") == 20 - len(world.frames) == 16
    assert world.count(DROPPED, reason="superseded") == 0


def test_nothing_is_opened_before_an_order_and_the_reason_is_said_once(world: World, clip: Path) -> None:
    lost: list[str] = []
    opener = endless(lambda: iter([picture()]), lost)
    with capture_logs() as logs, world.running(world.ingest(clip, open_source=opener)) as running:
        world.publish(world.order(camera_ids=("cam-2",)))
        world.until(lambda: any(line["event"] == "nothing is captured" for line in logs))
        for _ in range(10):
            world.take()
        assert not running.over
    said = [line["reason"] for line in logs if line["event"] == "nothing is captured"]
    assert lost == []
    assert said == ["no deployment order names this camera"]
    assert world.seen == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "stopped"}, "the order of deployment d1 was stopped"),
        ({"state": "ended"}, "the order of deployment d1 was ended"),
        ({"camera_ids": ("cam-2",)}, "no deployment order names this camera"),
    ],
)
def test_an_order_that_does_not_cover_the_camera_now_lets_nothing_through(
    world: World, clip: Path, changes: dict[str, object], reason: str
) -> None:
    world.publish(world.order(**changes))
    with capture_logs() as logs, world.running(world.ingest(clip, live=False)):
        world.until(lambda: any(line.get("reason") == reason for line in logs))
    assert world.seen == []
    assert world.count("overt_ingest_frames_read_total") == 0


def test_an_order_that_is_over_or_yet_to_begin_lets_nothing_through(world: World, clip: Path) -> None:
    now_s = world.clock.now_s()
    for times, reason in (
        ({"starts_at_s": now_s - 900, "ends_at_s": now_s - 1}, "is over"),
        ({"starts_at_s": now_s + 900, "ends_at_s": now_s + 1800}, "has not begun"),
    ):
        other = World()
        other.publish(other.order(**times))
        with capture_logs() as logs, other.running(other.ingest(clip, live=False)):
            other.until(lambda reason=reason, logs=logs: any(reason in str(line) for line in logs))  # type: ignore[misc]
        assert other.seen == []


def test_a_forged_order_lets_nothing_through(world: World, clip: Path) -> None:
    world.publish(world.order(), key=Ed25519PrivateKey.generate())
    with capture_logs() as logs, world.running(world.ingest(clip, live=False)):
        world.until(lambda: any(line["event"] == "order refused" for line in logs))
        for _ in range(5):
            world.take()
    assert world.seen == []


def test_a_clip_waits_for_its_order_and_then_begins_at_its_beginning(world: World, clip: Path) -> None:
    with capture_logs() as logs, world.running(world.ingest(clip, live=True)):
        world.until(lambda: any(line["event"] == "nothing is captured" for line in logs))
        ordered_ns = world.clock.now_ns()
        world.publish(world.order())
        world.until(lambda: bool(world.frames))
    assert world.frames[0].sequence == 0
    assert world.frames[0].captured_at_ns >= ordered_ns


def test_a_stop_ends_the_capture_and_the_recording(world: World, clip: Path) -> None:
    world.publish(world.order())
    ingest = world.ingest(clip, live=True, loop=True)
    with world.running(ingest) as running:
        world.until(lambda: len(world.frames) >= 3)
        world.publish(world.order(revision=2, state="stopped"))
        world.until(lambda: running.over)
        assert ingest.finished.is_set()
    assert len(world.ends) == 1
    assert isinstance(world.seen[-1], type(world.ends[0]))


def test_the_end_of_an_order_ends_the_capture(world: World, clip: Path) -> None:
    order = world.order(ends_at_s=world.clock.now_s() + 0.5)
    world.publish(order)
    with world.running(world.ingest(clip, live=True, loop=True)) as running:
        world.until(lambda: running.over)
    assert world.frames
    assert len(world.ends) == 1
    assert all(frame.captured_at_ns < order.ends_at_s * 1e9 for frame in world.frames)


def test_a_camera_that_an_order_takes_away_is_let_go(world: World, clip: Path) -> None:
    world.publish(world.order())
    with world.running(world.ingest(clip, live=True, loop=True)) as running:
        world.until(lambda: len(world.frames) >= 2)
        world.publish(world.order(revision=2, camera_ids=("cam-2",)))
        world.until(lambda: running.over)
    assert len(world.ends) == 1


def test_a_closed_deployment_has_no_keys_and_its_frames_are_counted_as_lost(world: World, clip: Path) -> None:
    world.keys.close("d1")
    world.publish(world.order())
    with world.running(world.ingest(clip, live=False)) as running:
        world.until(lambda: running.over)
    assert world.seen == []
    assert world.count(DROPPED, reason="key_gone") == 20


@pytest.mark.parametrize(
    ("name", "pts", "expected"),
    [
        ("bare.h264", None, {40}),  # such a stream has no times at all
        ("jump.mkv", [0, 40, 80, 3_600_080, 3_600_120], {40}),
        ("pause.mkv", [0, 40, 5040, 5080, 5120], {40, 5000}),
    ],
)
def test_times_of_a_clip_that_are_missing_or_jump_become_one_line(
    world: World, tmp_path: Path, name: str, pts: list[int] | None, expected: set[int]
) -> None:
    world.publish(world.order())
    with world.running(world.ingest(write_clip(tmp_path / name, 5, pts=pts), live=False)):
        world.until(lambda: bool(world.ends))
    assert len(world.frames) == 5
    assert steps([frame.captured_at_ns // MS for frame in world.frames]) == expected


def test_a_loop_goes_on_in_one_line_of_time(world: World, clip: Path) -> None:
    world.publish(world.order())
    with world.running(world.ingest(clip, live=False, loop=True)):
        world.until(lambda: len(world.frames) >= 50)
    assert steps([frame.captured_at_ns for frame in world.frames]) == {40 * MS}
    assert steps([frame.sequence for frame in world.frames]) == {1}


def test_spoilt_packets_are_counted_and_the_rest_is_sent(world: World, clip: Path, tmp_path: Path) -> None:
    world.publish(world.order())
    path = spoil(clip, tmp_path / "spoilt.mp4", 0.55, 0.75)
    with world.running(world.ingest(path, live=False)):
        world.until(lambda: bool(world.ends))
    assert world.count(DROPPED, reason="corrupt") > 0
    assert len(world.frames) == world.count("overt_ingest_frames_read_total") >= 5


def test_the_newest_picture_wins_while_the_pipeline_is_busy(world: World) -> None:
    released = threading.Event()

    def burst() -> Iterator[Picture]:
        for number in range(300):
            yield picture(number * 40 * MS)
        released.set()
        while True:
            yield picture(None)

    opener = endless(burst, [])
    world.publish(world.order())
    ingest = world.ingest("/dev/null", open_source=opener)
    with world.running(ingest):
        assert released.wait(PATIENCE_S)  # nothing is taken meanwhile; the topic holds 64 records
        world.until(lambda: any(frame.sequence >= 300 for frame in world.frames))
    sequences = [frame.sequence for frame in world.frames]
    assert sequences == sorted(set(sequences))
    assert world.count(DROPPED, reason="superseded") >= 200


def test_a_lost_camera_is_said_ended_and_opened_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overt.ingest.backoff.FIRST_S", 0.01)

    def breaks() -> Iterator[Picture]:
        yield picture(None)
        raise SourceLost("rtsp://camera was lost: Connection reset by peer")

    opened: list[str] = []
    world.publish(world.order())
    ingest = world.ingest("/dev/null", open_source=endless(breaks, opened))
    with capture_logs() as logs, world.running(ingest):
        world.until(lambda: len(opened) >= 3 and len(world.ends) >= 2)
    assert {line["reason"] for line in logs if line["event"] == "camera lost, trying again"} == {
        "rtsp://camera was lost: Connection reset by peer"
    }
    assert not ingest.finished.is_set()
    assert world.count("overt_ingest_decoder_restarts_total", reason="lost") >= 2
    assert steps([frame.sequence for frame in world.frames]) == {1}


def test_a_camera_that_ends_without_a_word_is_opened_again_after_a_pause(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overt.ingest.backoff.FIRST_S", 0.01)
    opened: list[str] = []
    world.publish(world.order())
    opener = endless(lambda: iter([picture(None)]), opened)
    with capture_logs() as logs, world.running(world.ingest("/dev/null", open_source=opener)):
        world.until(lambda: len(opened) >= 2)
    assert any(line.get("reason") == "/dev/null ended" for line in logs)


def test_a_recording_that_vanishes_before_it_is_played_fails_the_runner(world: World, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 2)
    ingest = world.ingest(path)
    path.write_bytes(b"")
    world.publish(world.order())
    with pytest.raises(SourceRefused, match="is no video that can be read"), world.running(ingest) as running:
        world.until(lambda: running.over)


def test_a_defect_inside_the_decoder_is_said_without_its_text_and_another_one_is_started(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overt.ingest.backoff.FIRST_S", 0.01)

    def broken() -> Iterator[Picture]:
        yield picture(None)
        raise ZeroDivisionError("rtsp://operator:hunter2@camera")

    opened: list[str] = []
    world.publish(world.order())
    ingest = world.ingest("/dev/null", open_source=endless(broken, opened))
    with capture_logs() as logs, world.running(ingest):
        world.until(lambda: len(opened) >= 3)
    reasons = {line["reason"] for line in logs if line["event"] == "camera lost, trying again"}
    assert len(reasons) == 1
    assert reasons.pop().startswith("its decoder failed: ZeroDivisionError in test_service.py:")
    assert "hunter2" not in repr(logs)
    assert world.count("overt_ingest_decoder_restarts_total", reason="crashed") >= 2


def test_a_defect_while_a_recording_is_decoded_fails_its_runner(world: World, clip: Path) -> None:
    def broken() -> Iterator[Picture]:
        yield picture(None)
        raise ZeroDivisionError

    world.publish(world.order())
    ingest = world.ingest(clip, open_source=endless(broken, []))
    with pytest.raises(DecoderFailed, match="ZeroDivisionError"), world.running(ingest) as running:
        world.until(lambda: running.over)


def test_a_missing_recording_is_refused_when_it_is_built(world: World, tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="there is no file or folder"):
        world.ingest(tmp_path / "nowhere.mp4")


def test_the_frames_age_is_no_number_before_the_first_frame(world: World, clip: Path) -> None:
    world.publish(world.order())
    ingest = world.ingest(clip, live=False)
    age = "overt_ingest_last_frame_age_seconds"
    assert world.count(age) != world.count(age)
    with world.running(ingest):
        world.until(lambda: bool(world.ends))
    assert world.count(age) >= 0
