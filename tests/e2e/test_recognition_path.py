"""Frames in, matches out: detect, embed and match together on the in-process broker, with real photographs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import simplejpeg  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from PIL import Image
from prometheus_client import CollectorRegistry

from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import CaptureEnded, FrameCaptured, MatchMade
from overt.contracts.orders import Order, sign
from overt.contracts.topics import DEPLOYMENTS, FACES, FRAMES, MATCHES, TEMPLATES
from overt.contracts.wire import Out, TopicWire, memory_topics
from overt.detect.service import build as build_detect
from overt.detect.settings import DetectOptions
from overt.embed.service import build as build_embed
from overt.embed.settings import EmbedOptions
from overt.match.service import build as build_match
from overt.match.settings import MatchOptions
from overt.recognition.align import align_crop
from overt.recognition.gallery import Gallery
from overt.recognition.models import fetch_models
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.protect import Rotation
from overt.recognition.samples import fetch_samples
from overt.runtime.clock import SystemClock
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyRing
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker

from .running import CACHE

pytestmark = [pytest.mark.e2e, pytest.mark.models]

FRAME_NS = 40_000_000
PATIENCE_S = 60.0
THRESHOLD = 0.5
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pack() -> Pack:
    fetch_models(CACHE / "models", source=None, progress=lambda *_: None)
    return load_pack("cpu", CACHE / "models")


@pytest.fixture(scope="module")
def photographs() -> dict[str, Picture]:
    found = fetch_samples(CACHE / "samples", lambda *_: None)
    return {name: load_picture(path) for name, path in found.items()}


class RecognitionPath:
    """The three services over one broker, under one order and one list of one entry."""

    def __init__(self, pack: Pack, folder: Path) -> None:
        self.pack, self.clock = pack, SystemClock()
        self.keys = KeyRing(self.clock)
        self.list_key = _lasting("watchlist.w1")
        self.keys.open("d1", _lasting("d1"))
        self.keys.open("watchlist.w1", self.list_key)
        self.order_key = Ed25519PrivateKey.generate()
        self.broker = MemoryBroker(memory_topics(), self.clock)
        registry = CollectorRegistry()
        public = self.order_key.public_key()
        loops = LoopCollectors(registry)
        self.context = Context(self.broker, self.keys, public, self.clock, registry, loops)
        self.gallery = Gallery(str(folder / "gallery"))
        self.matches = self.broker.consumer("alerts", [MATCHES.name])
        self.runners = (
            build_detect(self.context, DetectOptions(), pack),
            build_embed(self.context, EmbedOptions(), pack),
            build_match(self.context, MatchOptions(), self.gallery),
        )

    def enrol(self, picture: Picture) -> None:
        found = self.pack.detector.detect(picture)
        reference_ND = self.pack.embedder.embed(align_crop(picture, found.landmarks_N52[0])[None])
        info = self.pack.info
        self.gallery.create("w1", info.fingerprint, info.dimension)
        rotation = Rotation.from_key(self.list_key.secret, info.dimension)
        self.gallery.add(
            "w1", info.fingerprint, entry_ids=["e1"], templates_ND=reference_ND, rotation=rotation
        )

    def publish_order(self, **changes: str) -> None:
        now_s = self.clock.now_s()
        order = Order(
            deployment_id="d1",
            revision=1,
            state="active",
            purpose="protective_event",
            place="North gate",
            starts_at_s=now_s - 1,
            ends_at_s=now_s + 3600,
            camera_ids=(changes.get("camera_id", "cam-1"),),
            watchlist_id="w1",
            watchlist_size=1,
            fingerprint=self.pack.info.fingerprint,
            threshold=THRESHOLD,
            issued_at_s=now_s - 2,
        )
        value = encode(DEPLOYMENTS, sign(order, self.order_key))
        self.broker.producer().produce(DEPLOYMENTS.name, b"d1", value)

    def show(self, pictures: list[Picture]) -> list[MatchMade]:
        """Show pictures as a recording, run until everything is done, and return the matches."""
        wire: TopicWire[MatchMade] = TopicWire(MATCHES, self.keys)
        with self._running():
            start_ns = self.clock.now_ns()
            for number, picture in enumerate(pictures):
                self._send(wire, self._frame(picture, number, start_ns + number * FRAME_NS))
            self._send(wire, CaptureEnded("d1", "cam-1", start_ns + len(pictures) * FRAME_NS))
            found: list[MatchMade] = []
            deadline_s = self.clock.monotonic_s() + PATIENCE_S
            while not self.broker.is_drained():
                assert self.clock.monotonic_s() < deadline_s, "waited too long"
                found += [wire.open(record) for record in self.matches.poll(10, 0.05)]
                self.matches.commit()
            return found

    def count(self, name: str, **labels: str) -> float:
        return self.context.registry.get_sample_value(f"overt_{name}_total", labels) or 0.0

    def _send(self, wire: TopicWire[MatchMade], message: FrameCaptured | CaptureEnded) -> None:
        sealed = wire.seal(Out(FRAMES, message.camera_id, message))
        self.broker.producer().produce(sealed.topic, sealed.key, sealed.value)

    def _frame(self, picture: Picture, number: int, captured_at_ns: int) -> FrameCaptured:
        return FrameCaptured(
            deployment_id="d1",
            camera_id="cam-1",
            sequence=number,
            captured_at_ns=captured_at_ns,
            read_at_ns=self.clock.now_ns(),
            live=False,
            width_px=picture.shape[1],
            height_px=picture.shape[0],
            jpeg=simplejpeg.encode_jpeg(picture, quality=85, colorsubsampling="420"),
        )

    @contextmanager
    def _running(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=runner, args=(stop,)) for runner in self.runners]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE_S)
            self.gallery.close()


def _lasting(scope: str) -> DataKey:
    return DataKey(f"{scope}/lasting/1", scope, scope.encode().ljust(32, b"."), None)


def walk(people: list[Picture], frames: int) -> list[Picture]:
    """People side by side who come nearer."""
    shown = []
    for number in range(frames):
        canvas = Image.new("RGB", (1920, 1080), (110, 120, 130))
        for place, person in enumerate(people):
            picture = Image.fromarray(person)
            picture.thumbnail((380 + 6 * number, 700 + 6 * number))
            canvas.paste(picture, (60 + 620 * place + 2 * number, 120))
        shown.append(np.asarray(canvas))
    return shown


@pytest.fixture
def path(pack: Pack, photographs: dict[str, Picture], tmp_path: Path) -> RecognitionPath:
    path = RecognitionPath(pack, tmp_path)
    path.enrol(photographs["obama"])
    return path


def test_another_photograph_of_the_enrolled_man_matches_and_nobody_beside_him_leaves_a_record(
    path: RecognitionPath, photographs: dict[str, Picture]
) -> None:
    path.publish_order()
    matches = path.show(walk([photographs[n] for n in ("biden", "obama2", "astronaut")], 20))
    assert matches
    assert len({match.shot.track_id for match in matches}) == 1
    assert {match.candidates[0].entry_id for match in matches} == {"e1"}
    assert all(match.candidates[0].similarity >= THRESHOLD for match in matches)
    assert all(600 < match.shot.box.left < 1300 for match in matches)
    assert path.count("detect_tracks", camera="cam-1") == 3
    assert path.count("match_searches") > path.count("match_matches") == len(matches)
    for topic in (FRAMES, FACES, TEMPLATES):
        assert path.broker.held_records(topic.name) == []


def test_nobody_on_the_list_means_no_match(path: RecognitionPath, photographs: dict[str, Picture]) -> None:
    path.publish_order()
    assert path.show(walk([photographs[n] for n in ("biden", "astronaut", "grace_hopper")], 12)) == []
    assert path.count("match_searches") >= 3


def test_without_an_order_for_this_camera_the_same_man_is_not_even_looked_for(
    path: RecognitionPath, photographs: dict[str, Picture]
) -> None:
    path.publish_order(camera_id="cam-2")
    assert path.show(walk([photographs["obama2"]], 8)) == []
    assert path.count("detect_frames_skipped", camera="cam-1", reason="other_camera") == 8
    assert path.count("detect_faces", camera="cam-1") == 0
