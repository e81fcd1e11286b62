"""Which matches become alerts, and what is written of them."""

from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from overt.alerts.store import load
from overt.alerts.tables import OtherCandidateRow
from overt.runtime.envelope import DataKey
from services.alerts.tests.conftest import DEPLOYMENT, START_S, World, jpeg

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("order", "match", "outcome"),
    [
        ({}, {}, "raised"),
        ({"deployment_id": "dep-2"}, {}, "no_order"),
        ({}, {"camera_id": "elsewhere"}, "outside_order"),
        ({}, {"watchlist_id": "list-2"}, "outside_order"),
        ({}, {"fingerprint": "cd" * 32}, "outside_order"),
        ({"threshold": 0.5}, {}, "outside_order"),
        ({"starts_at_s": START_S + 1}, {}, "outside_order"),
        ({"ends_at_s": START_S}, {}, "outside_order"),
        ({"state": "ended", "issued_at_s": START_S + 5}, {}, "raised"),
        ({"state": "stopped", "issued_at_s": START_S + 5}, {}, "raised"),
        ({"state": "stopped", "issued_at_s": START_S - 1}, {}, "outside_order"),
    ],
)
def test_a_match_counts_only_under_its_order(
    world: World, order: dict[str, Any], match: dict[str, Any], outcome: str
) -> None:
    world.order(**order)
    world.send(world.match(**match))
    assert world.metric("overt_alerts_matches_total", outcome=outcome) == 1
    assert len(world.service.alerts()) == (outcome == "raised")


def test_a_forged_order_lets_nothing_through(world: World) -> None:
    genuine, world.order_key = world.order_key, Ed25519PrivateKey.generate()
    world.order()
    world.order_key = genuine
    with structlog.testing.capture_logs() as logs:
        world.send(world.match())
    assert world.service.alerts() == []
    assert {"order refused", "match dropped"} <= {line["event"] for line in logs}


def test_a_match_waits_for_an_order_that_is_late_and_holds_nothing_back_half_done(world: World) -> None:
    world.order()
    world.keys.open("dep-2", DataKey("dep-2/lasting/1", "dep-2", b"k" * 32, None))
    world.deliver(world.match(entry_id="entry-2"), world.match(deployment_id="dep-2"))
    world.clock.advance(1)
    assert world.service.loop.step() == 0
    assert "order" in world.context.health.problems()["alerts"]
    assert world.service.alerts() == []
    world.order(deployment_id="dep-2")
    while not world.broker.is_drained():
        world.service.loop.step()
    assert {row.deployment_id for row in world.service.alerts()} == {DEPLOYMENT, "dep-2"}
    assert world.metric("overt_alerts_matches_total", outcome="raised") == 2
    assert world.metric("overt_alerts_matches_total", outcome="no_order") == 0


def test_a_match_captured_before_the_end_is_judged_although_the_order_has_ended(world: World) -> None:
    world.order()
    match = world.match()
    world.clock.advance(4000)
    world.send(match)
    assert len(world.service.alerts()) == 1


def test_a_file_read_faster_than_it_was_filmed_counts_until_the_stop(world: World) -> None:
    world.order(revision=2, state="stopped", issued_at_s=START_S + 5)
    ahead_ns = int((START_S + 60) * SECOND_NS)
    world.send(world.match(captured_at_ns=ahead_ns, read_at_ns=int(START_S * SECOND_NS)))
    assert len(world.service.alerts()) == 1


def test_repeated_matches_of_one_pass_are_one_alert_and_another_pass_is_another(world: World) -> None:
    world.order()
    for number in (1, 2, 3):
        world.send(world.match(number=number))
        world.clock.advance(5)
    world.clock.advance(60)
    world.send(world.match(track_id="t9"))
    assert [row.matches for row in world.service.alerts()] == [3, 1]
    assert world.metric("overt_alerts_raised_total") == 2
    assert world.metric("overt_alerts_unjudged") == 2


def test_a_redelivered_match_changes_nothing(world: World) -> None:
    world.order()
    match = world.match()
    world.send(match, match)
    world.restart()
    world.send(match)
    assert [row.matches for row in world.service.alerts()] == [1]
    assert len(world.service._base.store.unsent(10)) == 1


def test_a_better_probe_replaces_the_pictures_until_the_first_judgement(world: World) -> None:
    world.order()
    alert_id = world.raise_alert(similarity=0.5)
    browser = world.sign_in("Operator 1")

    def portrait() -> bytes:
        return browser.get(browser.pictures(alert_id)["portrait"]).content

    world.send(world.match(similarity=0.7, number=2, portrait_jpeg=jpeg("BETTER")))
    assert portrait() == jpeg("BETTER")
    world.send(world.match(similarity=0.6, number=3, portrait_jpeg=jpeg("WORSE")))
    assert portrait() == jpeg("BETTER")
    browser.judge(alert_id, "true_alert")
    world.send(world.match(similarity=0.9, number=4, portrait_jpeg=jpeg("LATE")))
    assert portrait() == jpeg("BETTER")
    (row,) = world.service.alerts()
    assert (row.matches, row.similarity) == (4, 0.7)


def test_only_the_best_candidate_raises_and_the_others_are_kept(world: World) -> None:
    world.order()
    world.send(world.match(others=(("entry-2", 0.5), ("entry-3", 0.45))))
    world.send(world.match(others=(("entry-2", 0.55),), number=2))
    assert [row.entry_id for row in world.service.alerts()] == ["entry-1"]
    others = world.read(lambda db: {o.entry_id: o.similarity for o in db.scalars(select(OtherCandidateRow))})
    assert others == {"entry-2": 0.55, "entry-3": 0.45}


def test_a_match_of_an_erased_deployment_is_dropped_and_counted(world: World) -> None:
    world.order()
    (message,) = [world.match()]
    intake = world.service.loop._handle
    world.service.loop.step()
    world.keys.close(DEPLOYMENT)
    list(intake([message]))
    assert world.metric("overt_alerts_matches_total", outcome="key_gone") == 1
    assert world.service.alerts() == []


def test_a_missing_reference_card_does_not_lose_the_alert_and_is_asked_for_again(world: World) -> None:
    world.order()
    world.references.down = True
    alert_id = world.raise_alert()
    browser = world.sign_in("Operator 1")
    assert "Reference picture not available yet" in browser.get(f"/alerts/{alert_id}").text
    asked = world.references.asked
    world.service.backstage.cards.step()
    assert world.references.asked == asked, "asked again without a pause"
    world.references.down = False
    world.clock.advance(2)
    assert world.service.backstage.cards.step() == 1
    page = browser.get(f"/alerts/{alert_id}").text
    assert "Entry One" in page
    assert "not available yet" not in page


def test_latency_is_measured_from_the_decoded_frame_to_the_stored_alert(world: World) -> None:
    world.order()
    match = world.match()
    world.clock.advance(0.4)
    world.send(match)
    assert world.service.alerts()[0].latency_ms == pytest.approx(400)
    assert world.metric("overt_alerts_capture_to_alert_seconds_sum") == pytest.approx(0.4)


def test_alerts_and_judgements_survive_a_restart(world: World) -> None:
    world.order()
    alert_id = world.raise_alert()
    world.sign_in("Operator 1").judge(alert_id, "true_alert")
    world.restart()
    record = world.read(lambda db: load(db, alert_id))
    assert [judgement.verdict for judgement in record.judgements] == ["true_alert"]
    assert world.sign_in("Operator 1").judge(alert_id, "true_alert", version="2").status_code == 403
    browser = world.sign_in("Operator 2")
    assert browser.get(browser.pictures(alert_id)["portrait"]).content.startswith(b"\xff\xd8\xff")
    assert browser.judge(alert_id, "true_alert").status_code == 303
    assert world.service.alerts()[0].state == "judged_true"


def test_nothing_of_a_face_or_a_name_is_in_the_clear_on_disk(world: World, tmp_path: Path) -> None:
    world.order()
    alert_id = world.raise_alert()
    world.send(world.match(number=2, similarity=0.8))
    world.sign_in("Operator 1").judge(alert_id, "true_alert")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert alert_id.encode() in written, "the search can find what is there"
    for secret in (
        b"PORTRAIT-",
        b"CONTEXT-",
        b"REFERENCE-PICTURE",
        b"CROPCROP",
        b"Entry One",
        b"\xff\xd8\xff",
    ):
        assert secret not in written


def test_the_database_is_readable_by_its_owner_only(world: World, tmp_path: Path) -> None:
    world.order()
    world.raise_alert()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes
    assert set(modes.values()) == {0o600}


def test_no_log_line_names_an_entry_or_a_person(world: World) -> None:
    world.order()
    with structlog.testing.capture_logs() as logs:
        world.raise_alert()
    text = repr(logs)
    assert "alert raised" in text
    assert "Entry One" not in text
    assert "entry-1" not in text
