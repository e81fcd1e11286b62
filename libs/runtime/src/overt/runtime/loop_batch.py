"""The batch that the loop has in hand, and how long it has been waiting for something that is away."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from overt.runtime.broker import Record

InT = TypeVar("InT")
OutT = TypeVar("OutT")


@dataclass(slots=True)
class Batch(Generic[InT, OutT]):
    """How far a batch has come: each part moves on to the next, so one that was broken off goes on there."""

    size: int
    unread: deque[Record]
    read: list[tuple[Record, InT]] = field(default_factory=list)
    outs: Iterator[OutT] | None = None
    unsealed: list[OutT] = field(default_factory=list)
    unconfirmed: bool = False

    def drop_moved(self, holds: Callable[[Record], bool]) -> None:
        """Drop what another member has now. What was handled already goes out: twice is harmless."""
        self.unread = deque(record for record in self.unread if holds(record))
        self.read = [(record, message) for record, message in self.read if holds(record)]
        if self.size and not self.unread and not self.read:
            self.outs, self.unsealed = iter(()), []


@dataclass(slots=True)
class Outage:
    """Since when something is away (monotonic seconds), and how long to wait before the next try."""

    since_s: float
    pause_s: float
    reason: str
