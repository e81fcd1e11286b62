import threading

from overt.ingest.slot import Slot


def test_the_newest_wins_and_the_older_is_handed_back() -> None:
    slot: Slot[int] = Slot(newest_wins=True)
    assert slot.put(1) is None
    assert slot.put(2) == 1
    assert slot.take(0) == 2
    assert slot.take(0) is None


def test_a_waiting_slot_loses_nothing_and_keeps_the_order() -> None:
    slot: Slot[int] = Slot(newest_wins=False)
    giver = threading.Thread(target=lambda: [slot.put(number) for number in range(1, 50)])
    giver.start()
    assert [slot.take(10) for _ in range(1, 50)] == list(range(1, 50))
    giver.join()


def test_closing_frees_a_giver_that_waits_and_leaves_what_was_in_it() -> None:
    slot: Slot[int] = Slot(newest_wins=False)
    slot.put(1)
    displaced: list[int | None] = []
    giver = threading.Thread(target=lambda: displaced.append(slot.put(2)))
    giver.start()
    slot.close()
    giver.join()
    assert displaced == [None]
    drained = [slot.is_drained]
    assert slot.take(10) == 1
    drained.append(slot.is_drained)
    assert drained == [False, True]
    assert slot.take(10) is None


def test_a_closed_slot_takes_nothing() -> None:
    slot: Slot[int] = Slot(newest_wins=True)
    slot.close()
    assert slot.put(1) is None
    assert slot.is_drained


def test_a_full_slot_of_several_places_loses_its_oldest_and_keeps_the_order() -> None:
    slot: Slot[int] = Slot(newest_wins=True, places=3)
    assert [slot.put(number) for number in range(5)] == [None, None, None, 0, 1]
    assert [slot.take(0) for _ in range(4)] == [2, 3, 4, None]
