"""What is searched, what of the answer leaves, and that the rest leaves nothing."""

import hashlib
import hmac
from collections.abc import Callable

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from overt.contracts.codec import encode
from overt.contracts.messages import TemplateMade
from overt.contracts.orders import Order
from overt.contracts.topics import MATCHES
from overt.recognition.errors import GalleryError, WatchlistMissing, WrongFingerprint
from overt.runtime.loop import Unavailable

from .conftest import NOW_S, OTHER, OWN, World, lasting

MakeTemplate = Callable[..., TemplateMade]
MakeOrder = Callable[..., Order]


@pytest.fixture
def lawful(world: World, make_order: MakeOrder) -> World:
    world.publish(make_order())
    return world


@pytest.mark.parametrize(
    ("order", "template", "reason"),
    [
        ({"starts_at_s": NOW_S + 60}, {}, "no_order"),
        ({"ends_at_s": NOW_S - 1}, {}, "no_order"),
        ({"state": "stopped"}, {}, "no_order"),
        ({"state": "ended"}, {}, "no_order"),
        ({}, {"deployment_id": "d2"}, "no_order"),
        ({}, {"camera_id": "cam-2"}, "other_camera"),
        ({"fingerprint": OTHER}, {}, "other_fingerprint"),
        ({}, {"fingerprint": OTHER}, "other_fingerprint"),
    ],
    ids=str,
)
def test_nothing_is_searched_outside_an_order_or_across_packs(
    world: World,
    make_order: MakeOrder,
    template: dict[str, object],
    make_template: MakeTemplate,
    order: dict[str, object],
    reason: str,
) -> None:
    world.publish(make_order(**order))
    assert world.handle(make_template(**template)) == []
    assert world.watchlists.searches == []
    assert world.dropped(reason) == 1
    assert world.count("searches") == 0


def test_nothing_is_searched_without_any_order(world: World, make_template: MakeTemplate) -> None:
    assert world.handle(make_template()) == []
    assert world.watchlists.searches == []


def test_nothing_is_searched_under_a_forged_order(
    world: World, make_order: MakeOrder, make_template: MakeTemplate
) -> None:
    with capture_logs() as logs:
        world.publish(make_order(), key=Ed25519PrivateKey.generate())
    assert [line["event"] for line in logs] == ["order refused"]
    assert world.handle(make_template()) == []
    assert world.watchlists.searches == []


def test_below_the_threshold_only_counters_move(lawful: World, make_template: MakeTemplate) -> None:
    before = {topic: len(lawful.broker.held_records(topic)) for topic in ("matches.v1", "templates.v1")}
    with capture_logs() as logs:
        # Entry e2 is along the second axis: 0.6 there is 0.8 here.
        assert lawful.handle(make_template(-0.9), make_template(-1.0)) == []
    assert logs == []
    assert (lawful.count("searches"), lawful.count("matches")) == (2, 0)
    assert {topic: len(lawful.broker.held_records(topic)) for topic in before} == before


def test_at_the_threshold_it_is_a_match_and_a_hair_below_it_is_none(
    world: World, make_order: MakeOrder, make_template: MakeTemplate
) -> None:
    world.publish(make_order(threshold=0.75))
    (match,) = world.handle(make_template(0.75))
    assert [candidate.entry_id for candidate in match.candidates] == ["e1"]
    world.publish(make_order(threshold=float(np.nextafter(0.75, 1)), revision=2))
    assert world.handle(make_template(0.75)) == []


def test_a_match_says_list_pack_threshold_and_shot_and_is_keyed_by_deployment_and_entry(
    lawful: World, make_template: MakeTemplate
) -> None:
    template = make_template(0.8)
    (out,) = lawful.outs(template)
    assert (out.topic.name, out.key) == ("matches.v1", "d1/e1")
    (match,) = lawful.handle(template)
    assert (match.watchlist_id, match.fingerprint, match.threshold) == ("w1", OWN, 0.5)
    assert match.shot == template.shot
    assert [(one.entry_id, round(one.similarity, 4)) for one in match.candidates] == [
        ("e1", 0.8),
        ("e2", 0.6),
    ]
    assert encode(MATCHES, match)


def test_a_cosine_that_rounding_put_above_one_is_one(lawful: World, make_template: MakeTemplate) -> None:
    above = np.array([1.0004, 0, 0, 0], "<f4")
    (match,) = lawful.handle(make_template(0.9, template=above.tobytes()))
    assert match.candidates[0].similarity == 1.0


def test_probes_of_one_deployment_are_searched_together(
    world: World, make_order: MakeOrder, make_template: MakeTemplate
) -> None:
    world.publish(make_order())
    world.publish(make_order(deployment_id="d2", watchlist_id="w2"))
    world.keys.open("d2", lasting("d2"))
    world.keys.open("watchlist.w2", lasting("watchlist.w2"))
    probes = [make_template(0.9, deployment_id=name) for name in ("d1", "d2", "d1", "d1")]
    matches = world.handle(*probes)
    assert world.watchlists.searches == [("w1", 3), ("w2", 1)]
    assert [match.watchlist_id for match in matches] == ["w1", "w1", "w1", "w2"]


def test_a_batch_delivered_twice_gives_the_same_matches(lawful: World, make_template: MakeTemplate) -> None:
    probes = [make_template(0.9), make_template(0.7)]
    assert lawful.handle(*probes) == lawful.handle(*probes)


def test_the_probe_hash_is_keyed_by_the_deployment_and_by_no_key_used_elsewhere(
    lawful: World, make_template: MakeTemplate
) -> None:
    probe = make_template(0.9)
    (match,) = lawful.handle(probe)
    plain = hashlib.sha256(probe.shot.crop_rgb).hexdigest()
    naive = hmac.new(bytes([7]) * 32, probe.shot.crop_rgb, hashlib.sha256).hexdigest()
    assert match.probe_hash not in (plain, naive)
    lawful.keys.open("d1", lasting("d1", fill=9))
    (again,) = lawful.handle(probe)
    assert again.probe_hash != match.probe_hash
    (other,) = lawful.handle(make_template(0.8))
    assert other.probe_hash != again.probe_hash


@pytest.mark.parametrize("scope", ["d1", "watchlist.w1"])
def test_nothing_is_searched_once_a_key_was_destroyed(
    lawful: World, make_template: MakeTemplate, scope: str
) -> None:
    assert len(lawful.handle(make_template())) == 1
    lawful.keys.close(scope)
    assert lawful.handle(make_template()) == []
    assert lawful.dropped("key_gone") == 1
    assert len(lawful.watchlists.searches) == 1


def test_the_rotation_is_made_once_a_key(lawful: World, make_template: MakeTemplate) -> None:
    lawful.handle(make_template())
    lawful.handle(make_template())
    lawful.keys.open("watchlist.w1", lasting("watchlist.w1", fill=9))
    lawful.handle(make_template())
    first, second, third = lawful.watchlists.rotations
    assert first is second
    assert not np.allclose(second.matrix_DD, third.matrix_DD)


def test_the_rotation_is_forgotten_when_its_order_is_over(
    lawful: World, make_order: MakeOrder, make_template: MakeTemplate
) -> None:
    lawful.handle(make_template())
    lawful.publish(make_order(state="ended", revision=2))
    assert lawful.handle() == []
    lawful.publish(make_order(deployment_id="d3"))
    lawful.keys.open("d3", lasting("d3"))
    lawful.handle(make_template(deployment_id="d3"))
    first, second = lawful.watchlists.rotations
    assert first is not second


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (WatchlistMissing("no list"), "no_watchlist"),
        (WrongFingerprint(OWN, OTHER), "other_fingerprint"),
        (GalleryError("templates are (1, 4), expected (N, 128)"), "other_fingerprint"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_list_that_cannot_answer_is_counted_told_about_once_and_stops_nothing(
    lawful: World, make_template: MakeTemplate, failure: GalleryError, reason: str
) -> None:
    lawful.watchlists.failure = failure
    with capture_logs() as logs:
        assert lawful.handle(make_template(), make_template()) == []
        assert lawful.handle(make_template()) == []
    assert lawful.dropped(reason) == 3
    assert [(line["log_level"], line["deployment_id"], line["reason"]) for line in logs] == [
        ("error", "d1", str(failure))
    ]
    lawful.watchlists.failure = None
    assert len(lawful.handle(make_template())) == 1


def test_a_gallery_that_fails_brings_the_batch_back(lawful: World, make_template: MakeTemplate) -> None:
    lawful.watchlists.failure = Unavailable("down")
    batch = [make_template(), make_template(deployment_id="unknown")]
    for _ in range(3):
        with pytest.raises(Unavailable):
            lawful.handle(*batch)
    lawful.watchlists.failure = None
    assert len(lawful.handle(*batch)) == 1
    assert lawful.dropped("no_order") == 1


def test_a_match_logs_nothing(lawful: World, make_template: MakeTemplate) -> None:
    with capture_logs() as logs:
        assert lawful.handle(make_template())
    assert logs == []
