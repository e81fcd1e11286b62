"""The service as it is built: over the in-process broker, with the real model on real photographs."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from overt.contracts.messages import CaptureEnded, FaceFound, FrameCaptured
from overt.contracts.orders import Order
from overt.contracts.topics import FACES, FRAMES
from overt.contracts.wire import Out, TopicWire
from overt.detect import jpeg
from overt.detect.service import build
from overt.detect.settings import DetectOptions
from overt.detect.zones import Zone, Zones
from overt.recognition.align import align_crop
from overt.recognition.models import fetch_models
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.samples import fetch_samples

from .conftest import FRAME_NS, World

pytestmark = pytest.mark.models

CACHE = Path(os.environ.get("OVERT_CACHE_DIR", Path(__file__).parents[3] / ".cache"))
PATIENCE_S = 60.0
FRAMES_SHOWN = 8
RIGHT_HALF = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


@pytest.fixture(scope="session")
def pack() -> Pack:
    models_dir = Path(os.environ.get("OVERT_MODELS_DIR", CACHE / "models"))
    fetch_models(models_dir, source=None, progress=lambda *_: None)
    return load_pack("cpu", models_dir)


@pytest.fixture(scope="session")
def scene() -> bytes:
    """Two people side by side in one 1280 x 720 picture."""
    samples = fetch_samples(CACHE / "samples", lambda *_: None)
    canvas = Image.new("RGB", (1280, 720), (120, 130, 140))
    for left, name in ((60, "obama"), (680, "biden")):
        person = Image.fromarray(load_picture(samples[name]))
        person.thumbnail((540, 700))
        canvas.paste(person, (left, 10))
    return jpeg.encode(np.asarray(canvas), 90)


def faces_of(
    world: World,
    messages: list[FrameCaptured | CaptureEnded],
    pack: Pack,
    options: DetectOptions | None = None,
) -> list[FaceFound]:
    """Put frames on their topic, run the service until they are done, and return what it handed on."""
    wire: TopicWire[FaceFound] = TopicWire(FACES, world.keys)
    consumer = world.broker.consumer("test", [FACES.name])
    runner = build(world.context, options or DetectOptions(), pack)
    for message in messages:
        sealed = wire.seal(Out(FRAMES, message.camera_id, message))
        world.broker.producer().produce(sealed.topic, sealed.key, sealed.value)
    stop = threading.Event()
    thread = threading.Thread(target=runner, args=(stop,))
    thread.start()
    found: list[FaceFound] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while not world.broker.is_drained() and time.monotonic() < deadline_s:
        found += [wire.open(record) for record in consumer.poll(10, 0.05)]
        consumer.commit()
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    return found


def shown(world: World, scene: bytes) -> list[FrameCaptured | CaptureEnded]:
    """The scene for FRAMES_SHOWN frames of a recording, and its end."""
    start_ns = world.clock.now_ns()
    frames = [
        world.frame(jpeg=scene, captured_at_ns=start_ns + n * FRAME_NS, live=False)
        for n in range(FRAMES_SHOWN)
    ]
    return [*frames, CaptureEnded("d1", "cam-1", start_ns + FRAMES_SHOWN * FRAME_NS)]


def test_two_people_are_each_handed_on_once_with_the_other_beyond_recognition(
    make_order: Callable[..., Order], pack: Pack, scene: bytes
) -> None:
    world = World(info=pack.info)
    world.publish(make_order(fingerprint=pack.info.fingerprint))
    found = sorted(faces_of(world, shown(world, scene), pack), key=lambda one: one.shot.box.left)
    assert len(found) == 2
    counted = world.context.registry.get_sample_value("overt_detect_faces_total", {"camera": "cam-1"})
    assert counted == 2 * FRAMES_SHOWN
    left, right = (template(pack, jpeg.decode(scene), one) for one in found)
    for own, other, one in ((left, right, found[0]), (right, left, found[1])):
        context = jpeg.decode(one.shot.context_jpeg)
        seen = [
            pack.embedder.embed(align_crop(context, marks)[None])[0]
            for marks in pack.detector.detect(context).landmarks_N52
        ]
        assert max(float(face @ own) for face in seen) > 0.7
        assert all(float(face @ other) < 0.25 for face in seen)


def test_in_a_zone_only_who_is_inside_is_handed_on_and_who_is_outside_is_beyond_recognition(
    make_order: Callable[..., Order], pack: Pack, scene: bytes
) -> None:
    """About the same landmarks as without a zone: the network sees a cut picture, at another scale."""
    shots = []
    for zone in (Zone(), Zone(polygon=RIGHT_HALF), Zone(polygon=RIGHT_HALF, smallest_eye_distance_px=20)):
        world = World(info=pack.info)
        world.publish(make_order(fingerprint=pack.info.fingerprint))
        options = DetectOptions(zones=Zones(defaults=zone))
        found = faces_of(world, shown(world, scene), pack, options)
        shots.append(sorted(found, key=lambda one: one.shot.box.left))
    left, right = (template(pack, jpeg.decode(scene), one) for one in shots[0])
    eyes_px = shots[0][1].shot.landmarks_px[2] - shots[0][1].shot.landmarks_px[0]
    for (one,) in shots[1:]:
        away = np.subtract(one.shot.landmarks_px, shots[0][1].shot.landmarks_px)
        assert np.abs(away).max() < 0.15 * eyes_px
        assert float(template(pack, jpeg.decode(scene), one) @ right) > 0.9
        context = jpeg.decode(one.shot.context_jpeg)
        seen = [
            pack.embedder.embed(align_crop(context, marks)[None])[0]
            for marks in pack.detector.detect(context).landmarks_N52
        ]
        assert max(float(face @ right) for face in seen) > 0.7
        assert all(float(face @ left) < 0.25 for face in seen)


def template(pack: Pack, picture: NDArray[np.uint8], found: FaceFound) -> NDArray[np.float32]:
    landmarks_52 = np.reshape(np.array(found.shot.landmarks_px, np.float32), (5, 2))
    row: NDArray[np.float32] = pack.embedder.embed(align_crop(picture, landmarks_52)[None])[0]
    return row
