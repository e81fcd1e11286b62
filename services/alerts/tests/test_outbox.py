"""alerts.v1: every change once in the outbox, published in order, again only when it must."""

import threading

import pytest

from overt.alerts.database import DatabaseAway
from overt.alerts.outbox import Relay
from overt.alerts.pictures import Vault
from overt.alerts.recording import Recorder
from overt.alerts.store import Store
from overt.contracts.events import AlertRaised, AlertStrengthened, JudgementMade, OutcomeRecorded
from overt.runtime.broker import Unconfirmed, Undelivered
from services.alerts.tests.conftest import World


def run_through(world: World) -> str:
    """One alert from its raising to its outcome."""
    world.order()
    alert_id = world.raise_alert(similarity=0.5)
    world.send(world.match(number=2, similarity=0.6))
    world.send(world.match(number=3, similarity=0.55))
    for name in ("Operator 1", "Operator 2"):
        world.sign_in(name).judge(alert_id, "true_alert")
    officer = world.sign_in("Engagement officer")
    form = {"csrf": officer.csrf(), "version": officer.version(alert_id)}
    form |= {"engagement": "unconfirmed", "outcome": "no_action"}
    officer.post(f"/alerts/{alert_id}/outcome", form)
    return alert_id


def test_an_alerts_life_is_published_in_order_without_gaps(world: World) -> None:
    alert_id = run_through(world)
    assert world.service.backstage.relay.step() == 5
    events = world.published()
    kinds = [AlertRaised, AlertStrengthened, JudgementMade, JudgementMade, OutcomeRecorded]
    assert [type(event) for event in events] == kinds
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert {event.alert_id for event in events} == {alert_id}
    assert isinstance(events[0], AlertRaised)
    assert events[0].link == f"/alerts/{alert_id}"
    states = [event.state for event in events if isinstance(event, JudgementMade)]
    assert states == ["awaiting_second", "judged_true"]


def test_what_was_sent_is_not_sent_again(world: World) -> None:
    run_through(world)
    world.service.backstage.relay.step()
    assert world.service.backstage.relay.step() == 0
    world.restart()
    assert world.service.backstage.relay.step() == 0
    assert len(world.published()) == 5


def test_what_was_not_confirmed_stays_and_is_sent_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_through(world)

    def fail(timeout_s: float) -> None:
        raise Undelivered("not confirmed")

    monkeypatch.setattr(world.service.backstage.relay._producer, "flush", fail)
    with pytest.raises(Undelivered):
        world.service.backstage.relay.step()
    world.restart()
    assert world.service.backstage.relay.step() == 5
    sequences = [event.sequence for event in world.published()]
    assert sequences[-5:] == [1, 2, 3, 4, 5]


def test_a_change_that_is_not_committed_is_not_published(world: World) -> None:
    store: Store = world.service._base.store
    recorder = Recorder(Vault(world.keys), world.clock, window_ns=1)

    def crash_half_way() -> None:
        with store.write() as session:
            assert recorder.record(session, world.match())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash_half_way()
    assert store.unsent(10) == []
    assert world.service.alerts() == []


def test_the_relay_publishes_what_comes_while_it_runs_and_what_is_left_at_the_end(world: World) -> None:
    stop = threading.Event()
    relay: Relay = world.service.backstage.relay
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    run_through(world)
    stop.set()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert [event.sequence for event in world.published()] == [1, 2, 3, 4, 5]


def test_events_hold_no_picture_and_no_label(world: World) -> None:
    run_through(world)
    stored = b"".join(item.event_json for item in world.service._base.store.events_after(0, 100))
    assert b"alert_raised" in stored
    assert b"jpeg" not in stored
    assert b"Entry One" not in stored


def test_what_is_still_on_its_way_is_flushed_again_and_not_produced_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_through(world)
    relay = world.service.backstage.relay

    def late(timeout_s: float) -> None:
        raise Unconfirmed("not confirmed yet")

    with monkeypatch.context() as away:
        away.setattr(relay._producer, "flush", late)
        for _ in range(3):
            with pytest.raises(Unconfirmed):
                relay.step()
    assert relay.step() == 5
    assert [event.sequence for event in world.published()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("away", [Unconfirmed("not confirmed yet"), DatabaseAway("gone fishing")])
def test_a_stop_with_its_servers_away_fails_nothing_and_leaves_the_events_unsent(
    world: World, monkeypatch: pytest.MonkeyPatch, away: Exception
) -> None:
    run_through(world)
    relay, stop = world.service.backstage.relay, threading.Event()
    stop.set()

    def fail(*_: object) -> None:
        raise away

    with monkeypatch.context() as patched:
        if isinstance(away, Unconfirmed):
            patched.setattr(relay._producer, "flush", fail)
            patched.setattr(relay._producer, "close", fail)
        else:
            patched.setattr(relay._store, "unsent", fail)
        relay.run(stop)
    assert len(world.service._base.store.unsent(10)) == 5


def test_nothing_is_published_while_another_process_publishes(world: World) -> None:
    run_through(world)
    other = Store(world.service.room._base.options.database_url)
    with other.relay_lease() as held:
        assert held
        assert world.service.backstage.relay.step() == 0
    assert world.service.backstage.relay.step() == 5
    other.close()


def test_events_are_forgotten_a_week_after_they_were_sent(world: World) -> None:
    run_through(world)
    relay, store = world.service.backstage.relay, world.service._base.store
    relay.step()
    world.clock.advance(6 * 86_400)
    relay.step()
    assert len(store.events_after(0, 10)) == 5
    world.clock.advance(86_401)
    relay.step()
    assert store.events_after(0, 10) == []
