"""Hands pictures from one thread to the next through a few places: the newest win, or the giver waits."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

# Places for a fifth of a second at 25 pictures a second: a hiccup of the machine is made good, a pipeline that
# is really slower than the camera loses its oldest pictures.
HICCUP = 5


class Slot(Generic[T]):
    """Room for `places` items, taken in order. Safe between one giver and one taker."""

    def __init__(self, *, newest_wins: bool, places: int = 1) -> None:
        """`newest_wins`: a full slot loses its oldest item; otherwise `put` waits until there is room."""
        self._newest_wins = newest_wins
        self._places = places
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._closed = False

    def put(self, item: T) -> T | None:
        """Place `item`; return the oldest one if it was displaced. A closed slot takes nothing."""
        with self._changed:
            if not self._newest_wins:
                self._changed.wait_for(lambda: len(self._items) < self._places or self._closed)
            if self._closed:
                return None
            displaced = self._items.popleft() if len(self._items) == self._places else None
            self._items.append(item)
            self._changed.notify_all()
            return displaced

    def await_room(self, timeout_s: float) -> bool:
        """Whether `put` would not wait; a slot in which the newest wins always has room."""
        with self._changed:
            return self._newest_wins or self._changed.wait_for(
                lambda: len(self._items) < self._places or self._closed, timeout_s
            )

    def take(self, timeout_s: float) -> T | None:
        """Return the oldest item as soon as there is one; None after `timeout_s`, or at once when drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            item = self._items.popleft() if self._items else None
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
            return self._closed and not self._items
