"""The key ring: epochs turn, keys are destroyed on time, a restart opens nothing old."""

import pytest

from overt.runtime.clock import ManualClock
from overt.runtime.envelope import DataKey, seal, unseal
from overt.runtime.keys import KeyGone, KeyRing

LASTING = DataKey("camp/lasting", "camp", bytes(32), None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ring(clock: ManualClock) -> KeyRing:
    ring = KeyRing(clock, epoch_s=300, linger_s=60)
    ring.open("camp", LASTING)
    return ring


def test_a_key_stays_the_current_one_for_its_epoch_and_not_longer(ring: KeyRing, clock: ManualClock) -> None:
    first = ring.current("camp", "epoch")
    clock.advance(299.9)
    assert ring.current("camp", "epoch") is first
    clock.advance(0.1)
    second = ring.current("camp", "epoch")
    assert second.key_id != first.key_id
    assert second.secret != first.secret


def test_the_ring_says_when_a_key_stops_being_the_current_one(ring: KeyRing, clock: ManualClock) -> None:
    key = ring.current("camp", "epoch")
    assert ring.current_until_s(key) == clock.now_s() + 300
    assert ring.current_until_s(LASTING) is None


def test_a_past_epoch_can_be_read_until_its_key_is_destroyed(ring: KeyRing, clock: ManualClock) -> None:
    key = ring.current("camp", "epoch")
    clock.advance(359.9)
    assert ring.by_id(key.key_id) is key
    clock.advance(0.1)
    with pytest.raises(KeyGone):
        ring.by_id(key.key_id)


def test_a_ring_nobody_asks_destroys_its_keys_when_told_the_time(ring: KeyRing, clock: ManualClock) -> None:
    key = ring.current("camp", "epoch")
    clock.advance(360)
    ring.expire()
    assert key.secret not in {held.secret for held in ring._keys.values()}
    assert ring.key_ids() == {LASTING.key_id}


def test_after_a_long_silence_the_first_key_is_a_new_one(ring: KeyRing, clock: ManualClock) -> None:
    first = ring.current("camp", "epoch")
    clock.advance(10_000)
    assert ring.current("camp", "epoch").key_id != first.key_id


def test_a_restart_makes_old_payloads_unreadable(ring: KeyRing, clock: ManualClock) -> None:
    before = ring.current("camp", "epoch")
    value = seal(b"face", before, topic="t", record_key=b"k")
    restarted = KeyRing(clock)
    restarted.open("camp", LASTING)
    with pytest.raises(KeyGone):
        restarted.by_id(before.key_id)
    assert restarted.current("camp", "epoch").key_id != before.key_id
    assert unseal(value, before, topic="t", record_key=b"k") == b"face"  # it was the key that was missing


def test_a_lasting_key_survives_epochs_and_is_found_after_a_restart(
    ring: KeyRing, clock: ManualClock
) -> None:
    clock.advance(100_000)
    assert ring.current("camp", "lasting") is LASTING
    restarted = KeyRing(clock)
    restarted.open("camp", LASTING)
    assert restarted.by_id(LASTING.key_id) == LASTING


def test_closing_a_scope_destroys_all_its_keys_at_once_and_no_other(ring: KeyRing) -> None:
    key = ring.current("camp", "epoch")
    ring.open("other")
    kept = ring.current("other", "epoch")
    ring.close("camp")
    for key_id in (key.key_id, LASTING.key_id):
        with pytest.raises(KeyGone):
            ring.by_id(key_id)
    for kind in ("epoch", "lasting"):
        with pytest.raises(KeyGone):
            ring.current("camp", kind)
    assert ring.key_ids() == {kept.key_id}


def test_closing_a_scope_may_keep_its_lasting_key(ring: KeyRing) -> None:
    key = ring.current("camp", "epoch")
    ring.close("camp", keep_lasting=True)
    assert ring.key_ids() == {LASTING.key_id}
    assert ring.current("camp", "lasting") is LASTING
    with pytest.raises(KeyGone):
        ring.by_id(key.key_id)
    with pytest.raises(KeyGone):
        ring.current("camp", "epoch")


def test_an_unknown_scope_has_no_keys(ring: KeyRing) -> None:
    with pytest.raises(KeyGone):
        ring.current("nowhere", "epoch")
    with pytest.raises(KeyGone):
        ring.current("nowhere", "lasting")


def test_opening_a_scope_again_keeps_its_epoch(ring: KeyRing) -> None:
    key = ring.current("camp", "epoch")
    ring.open("camp")
    assert ring.current("camp", "epoch") is key


def test_a_key_of_another_scope_is_not_taken_in(ring: KeyRing) -> None:
    with pytest.raises(ValueError, match="belongs to camp"):
        ring.open("other", LASTING)
