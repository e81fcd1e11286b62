"""The service as it is built: over the in-process broker, and with the real model on a real photograph."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from overt.contracts.messages import FaceFound, TemplateMade
from overt.contracts.orders import Order
from overt.contracts.topics import FACES, TEMPLATES
from overt.contracts.wire import Out, TopicWire
from overt.embed.service import build
from overt.embed.settings import EmbedOptions
from overt.recognition.align import align_crop
from overt.recognition.models import fetch_models
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.samples import fetch_samples

from .conftest import World

pytestmark = pytest.mark.models

CACHE = Path(os.environ.get("OVERT_CACHE_DIR", Path(__file__).parents[3] / ".cache"))
PATIENCE_S = 60.0


@pytest.fixture(scope="session")
def pack() -> Pack:
    models_dir = Path(os.environ.get("OVERT_MODELS_DIR", CACHE / "models"))
    fetch_models(models_dir, source=None, progress=lambda *_: None)
    return load_pack("cpu", models_dir)


@pytest.fixture(scope="session")
def samples() -> dict[str, Path]:
    return fetch_samples(CACHE / "samples", lambda *_: None)


def templates_of(world: World, faces: list[FaceFound], pack: Pack) -> list[TemplateMade]:
    """Put faces on their topic, run the service, and return what it made of them."""
    wire: TopicWire[TemplateMade] = TopicWire(TEMPLATES, world.keys)
    consumer = world.broker.consumer("test", [TEMPLATES.name])
    runner = build(world.context, EmbedOptions(max_batch=2), pack)
    for face in faces:
        sealed = wire.seal(Out(FACES, face.shot.camera_id, face))
        world.broker.producer().produce(sealed.topic, sealed.key, sealed.value)
    stop = threading.Event()
    thread = threading.Thread(target=runner, args=(stop,))
    thread.start()
    made: list[TemplateMade] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(made) < len(faces) and time.monotonic() < deadline_s:
        made += [wire.open(record) for record in consumer.poll(10, 0.05)]
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    return made


def test_photographs_of_one_man_are_alike_and_of_another_are_not(
    world: World,
    make_order: Callable[..., Order],
    make_face: Callable[..., FaceFound],
    pack: Pack,
    samples: dict[str, Path],
) -> None:
    world.publish(make_order(fingerprint=pack.info.fingerprint))
    faces = []
    for name in ("obama", "obama2", "biden"):
        picture = load_picture(samples[name])
        crop = align_crop(picture, pack.detector.detect(picture).landmarks_N52[0])
        face = make_face(fingerprint=pack.info.fingerprint, track_id=name)
        faces.append(
            msgspec.structs.replace(face, shot=msgspec.structs.replace(face.shot, crop_rgb=crop.tobytes()))
        )
    made = templates_of(world, faces, pack)
    assert [template.shot.track_id for template in made] == ["obama", "obama2", "biden"]
    first, second, other = (np.frombuffer(template.template, "<f4") for template in made)
    assert len(first) == pack.info.dimension
    assert first @ second > 0.6
    assert first @ other < 0.35
