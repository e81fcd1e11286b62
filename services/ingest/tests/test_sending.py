import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import simplejpeg  # type: ignore[import-untyped]
from structlog.testing import capture_logs

from overt.contracts.messages import FrameCaptured
from overt.contracts.topics import FRAMES
from overt.contracts.wire import TopicWire
from overt.ingest.metrics import IngestMetrics
from overt.ingest.piped import Sampled
from overt.ingest.sending import Sender
from overt.ingest.watch import Watch
from overt.runtime.broker import BrokerError, Undelivered
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyKind, KeyRing
from overt.runtime.keys_http import KeysUnavailable

from .clips import gradient
from .conftest import CAMERA, World

DROPPED = "overt_ingest_frames_dropped_total"


class Kafka:
    """A producer that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.sent = 0

    def produce(self, topic: str, key: bytes, value: bytes | None) -> None:
        self.sent += not self.away

    def flush(self, timeout_s: float) -> None:
        if self.away:
            raise Undelivered("1 records were not delivered, the first because: timed out")

    def close(self) -> None:
        pass


class Control(KeyRing):
    """Keys that can be out of reach."""

    away = False

    def current(self, scope: str, kind: KeyKind) -> DataKey:
        if self.away:
            raise KeysUnavailable("cannot reach control")
        return super().current(scope, kind)


class Bench:
    def __init__(self) -> None:
        self.world, self.kafka = World(), Kafka()
        self.control = Control(self.world.clock)
        self.control.open("d1")
        metrics = IngestMetrics(self.world.registry).for_camera(CAMERA)
        wire: TopicWire[FrameCaptured] = TopicWire(FRAMES, self.control)
        watch = Watch(CAMERA, self.world.clock, health=self.world.health, metrics=metrics)
        self.sender = Sender(CAMERA, wire, self.kafka, metrics=metrics, watch=watch)

    def send(self, **changes: object) -> bool:
        fields = {
            "sequence": 1,
            "captured_at_ns": 2,
            "read_at_ns": 3,
            "width_px": 64,
            "height_px": 48,
            "encode_s": 0.01,
            "jpeg": jpeg(),
        }
        return self.sender.send(Sampled(**(fields | changes)), "d1", live=True)  # type: ignore[arg-type]


def jpeg() -> bytes:
    return bytes(simplejpeg.encode_jpeg(gradient(64, 48)))


@pytest.mark.parametrize("reason", ["undelivered", "key_unavailable"])
def test_frames_are_lost_and_counted_while_something_is_away_and_go_out_again(reason: str) -> None:
    bench = Bench()
    part = bench.kafka if reason == "undelivered" else bench.control
    assert bench.send()
    assert bench.sender.slow_because == "superseded"
    part.away = True
    with capture_logs() as logs:
        assert [bench.send() for _ in range(3)] == [False] * 3
        assert bench.sender.slow_because == reason
        assert "frames are lost" in bench.world.health.problems()[f"camera {CAMERA}"]
        part.away = False
        assert bench.send()
    assert bench.world.count(DROPPED, reason=reason) == 3
    assert bench.world.count("overt_ingest_frames_sent_total") == 2
    assert bench.world.health.problems() == {}
    assert [line["event"] for line in logs] == ["frames are lost", "frames go out again"]


def test_an_end_that_can_not_be_sent_is_no_failure() -> None:
    bench = Bench()
    bench.kafka.away = True
    bench.sender.end("d1", 5)
    bench.kafka.away = False
    bench.sender.end("d1", 5)
    assert bench.kafka.sent == 1


@pytest.mark.parametrize("nonsense", [{"jpeg": b"no jpeg"}, {"width_px": 63}])
def test_what_is_no_picture_is_counted_as_corrupt_whatever_a_decoder_says(
    nonsense: dict[str, object],
) -> None:
    bench = Bench()
    assert not bench.send(**nonsense)
    assert bench.world.count(DROPPED, reason="corrupt") == 1
    assert bench.kafka.sent == 0


class Held:
    """A producer that waits for its broker until the test lets it go."""

    def __init__(self, real: Callable[[str, bytes, bytes | None], None]) -> None:
        self.produce = real
        self.waits, self.may_go = threading.Event(), threading.Event()

    def flush(self, timeout_s: float) -> None:
        self.waits.set()
        self.may_go.wait()

    def close(self) -> None:
        pass


@pytest.fixture
def held(world: World, monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held(world.broker.producer().produce)
    real, calls = world.broker.producer, iter([held])
    monkeypatch.setattr(world.broker, "producer", lambda: next(calls, None) or real())
    return held


def test_a_stop_ends_the_decoder_at_once_while_kafka_is_away(world: World, held: Held, clip: Path) -> None:
    ingest = world.ingest(clip, live=True, loop=True)
    world.publish(world.order())
    with world.running(ingest) as running:
        world.until(held.waits.is_set)
        world.until(lambda: world.count(DROPPED, reason="superseded") >= 1)  # every place is taken
        assert world.count("overt_ingest_decoder_up") == 1
        world.publish(world.order(revision=2, state="stopped"))
        world.until(lambda: world.count("overt_ingest_decoder_up") == 0)
        assert not running.over  # the frame on its way still waits
        held.may_go.set()
        world.until(lambda: running.over)
    assert world.count(DROPPED, reason="no_order") >= 5


def test_the_newest_frames_win_while_kafka_is_away(world: World, held: Held, clip: Path) -> None:
    ingest = world.ingest(clip, live=True, loop=True)
    world.publish(world.order())
    with world.running(ingest):
        world.until(held.waits.is_set)
        world.until(lambda: world.count(DROPPED, reason="superseded") >= 20)
        held.may_go.set()
        world.until(lambda: len(world.frames) >= 5)
    assert world.frames[0].sequence == 0
    assert world.frames[1].sequence >= 20


def test_a_client_that_gave_up_ends_the_runner(world: World, held: Held, clip: Path) -> None:
    def broken(timeout_s: float) -> None:
        raise BrokerError("Kafka's client gave up")

    held.flush = broken  # type: ignore[method-assign]
    ingest = world.ingest(clip, live=True, loop=True)
    world.publish(world.order())
    with pytest.raises(BrokerError, match="gave up"), world.running(ingest) as running:
        world.until(lambda: running.over)


def test_a_recording_that_ends_leaves_another_camera_alone(world: World, clip: Path, tmp_path: Path) -> None:
    other = World()
    other.publish(other.order())
    world.publish(world.order())
    with (
        other.running(other.ingest(clip, live=True, loop=True)) as goes_on,
        world.running(world.ingest(clip, live=False)) as ends,
    ):
        world.until(lambda: ends.over)
        sent = len(other.frames)
        other.until(lambda: len(other.frames) > sent)
        assert not goes_on.over
