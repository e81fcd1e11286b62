"""The service as it is built: over the in-process broker and the embedded gallery."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from overt.contracts.messages import MatchMade, TemplateMade
from overt.contracts.orders import Order
from overt.contracts.topics import MATCHES, TEMPLATES
from overt.contracts.wire import Out, TopicWire
from overt.match.service import build
from overt.match.settings import MatchOptions
from overt.recognition.gallery import Gallery
from overt.recognition.protect import Rotation

from .conftest import OWN, World, direction, lasting

PATIENCE_S = 60.0


def test_a_probe_of_an_enrolled_person_becomes_a_match_and_a_passer_by_leaves_no_record(
    world: World, make_order: Callable[..., Order], make_template: Callable[..., TemplateMade], tmp_path: Path
) -> None:
    world.publish(make_order())
    gallery = Gallery(str(tmp_path / "gallery"))
    rotation = Rotation.from_key(lasting("watchlist.w1").secret, 4)
    gallery.create("w1", OWN, 4)
    gallery.add(
        "w1",
        OWN,
        entry_ids=["e1", "e2"],
        templates_ND=np.stack([direction(1.0), direction(0.0)]),
        rotation=rotation,
    )
    runner = build(world.context, MatchOptions(), gallery)
    sealer: TopicWire[MatchMade] = TopicWire(MATCHES, world.keys)
    consumer = world.broker.consumer("test", [MATCHES.name])
    probes = [
        make_template(-0.95, track_id="passer-by"),
        make_template(-0.95, track_id="passer-by", fused=direction(-0.9).astype("<f4").tobytes()),
        make_template(0.9, track_id="enrolled"),
        make_template(0.3, track_id="by-its-track", fused=direction(0.9).astype("<f4").tobytes()),
    ]
    for probe in probes:
        sealed = sealer.seal(Out(TEMPLATES, "cam-1", probe))
        world.broker.producer().produce(sealed.topic, sealed.key, sealed.value)
    stop = threading.Event()
    thread = threading.Thread(target=runner, args=(stop,))
    thread.start()
    found: list[MatchMade] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while not world.broker.is_drained() and time.monotonic() < deadline_s:
        found += [sealer.open(record) for record in consumer.poll(10, 0.05)]
        consumer.commit()
    stop.set()
    thread.join(PATIENCE_S)
    gallery.close()
    assert not thread.is_alive()
    assert [match.shot.track_id for match in found] == ["enrolled", "by-its-track"]
    by_track = {"e1": 0.6, "e2": (0.91**0.5 + 0.19**0.5) / 2}
    for match, similarities in zip(found, [{"e1": 0.9}, by_track], strict=True):
        got = {one.entry_id: one.similarity for one in match.candidates}
        assert got == pytest.approx(similarities, abs=1e-5)
    counted = [
        world.context.registry.get_sample_value(f"overt_match_{n}_total") for n in ("searches", "matches")
    ]
    assert counted == [4, 2]
    assert world.broker.held_records(TEMPLATES.name) == []
