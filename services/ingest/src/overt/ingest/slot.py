"""Hands pictures from the decoder to the sender through one place: the newest wins, or the decoder waits."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Room for one item. Safe between one giver and one taker."""

    def __init__(self, *, newest_wins: bool) -> None:
        """`newest_wins`: a full slot is overwritten; otherwise `put` waits until it is empty."""
        self._newest_wins = newest_wins
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> T | None:
        """Place `item`; return the older one that it displaced. A closed slot takes nothing."""
        with self._changed:
            if not self._newest_wins:
                self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return None
            displaced, self._item = self._item, item
            self._changed.notify_all()
            return displaced

    def take(self, timeout_s: float) -> T | None:
        """Return the item as soon as there is one; None after `timeout_s`, or at once when drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Take nothing more; what is in the slot may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def is_drained(self) -> bool:
        """Whether it is closed and empty: nothing will come any more."""
        with self._changed:
            return self._closed and self._item is None
