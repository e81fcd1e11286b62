"""Which match comes next is what the group has committed, then what was taken, until partitions are shared out anew."""

import pytest

from overt.alerts.places import BACK_AGAIN_S, Places
from overt.alerts.stream_app import Cluster
from overt.runtime.broker import BrokerAway
from overt.runtime.clock import ManualClock

NOWHERE = Cluster("127.0.0.1:1")


def places(
    monkeypatch: pytest.MonkeyPatch,
    committed: list[int],
    clock: ManualClock | None = None,
    *,
    first: list[int] | None = None,
    expired: list[int] | None = None,
) -> Places:
    """`committed` is what the group says, `first` where the partition begins, each time that it is asked."""
    told: list[int] = [] if expired is None else expired
    made = Places(NOWHERE, clock or ManualClock(0), told.append)
    monkeypatch.setattr(made, "_committed", lambda _: committed.pop(0))
    monkeypatch.setattr(made, "_first", lambda _: first.pop(0) if first else 0)
    return made


def test_the_next_one_follows_what_was_taken_and_a_repetition_takes_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = places(monkeypatch, [7])
    assert asked.next_of(0) == 7
    asked.passed(0, 7)
    asked.passed(0, 5)
    assert asked.next_of(0) == 8


def test_after_a_rebalance_the_group_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = places(monkeypatch, [0, 40])
    assert asked.next_of(0) == 0
    asked.forget()
    assert asked.next_of(0) == 40


def test_what_retention_took_is_counted_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    expired: list[int] = []
    asked = places(monkeypatch, [5], first=[8, 8, 12], expired=expired)
    assert asked.next_of(0) == 8  # took three before anybody worked
    assert asked.next_left(0) == 8
    assert asked.next_left(0) == 12  # and four meanwhile
    assert asked.next_of(0) == 12
    assert expired == [3, 4]


def test_a_group_that_has_committed_nothing_begins_at_the_oldest_and_has_missed_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expired: list[int] = []
    asked = places(monkeypatch, [-1001], first=[8], expired=expired)
    assert asked.next_of(0) == 8
    assert expired == []


def test_one_goes_back_once_for_all_that_faust_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(0)
    asked = places(monkeypatch, [], clock)
    assert [asked.may_go_back(0), asked.may_go_back(0), asked.may_go_back(1)] == [True, False, True]
    clock.advance(BACK_AGAIN_S)
    assert asked.may_go_back(0)


def test_a_group_that_cannot_be_asked_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overt.alerts.places.ASK_TIMEOUT_S", 0.2)
    with pytest.raises(BrokerAway, match="not known"):
        Places(NOWHERE, ManualClock(0), print).next_of(0)


def test_what_waits_is_counted_on_partitions_whose_place_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = places(monkeypatch, [7])
    assert asked.waiting({0: 10, 1: 5}) == 0
    asked.next_of(0)
    asked.passed(1, 5)
    assert asked.waiting({0: 10, 1: 5}) == 3
    asked.forget()
    assert asked.waiting({0: 10, 1: 5}) == 0
