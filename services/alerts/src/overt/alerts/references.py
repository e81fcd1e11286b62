"""What an alert asks about a watchlist entry: label, category and reference picture."""

from dataclasses import dataclass
from typing import Protocol


class CardUnavailable(Exception):
    """The card can't be had now: the alert stands without it and it is asked for again."""


@dataclass(frozen=True, slots=True)
class EntryCard:
    """What a judge sees of an entry: who it is, why it is listed, and the enrolled picture (JPEG)."""

    label: str
    category: str
    picture_jpeg: bytes


class References(Protocol):
    """Where cards come from: control in this process, or over HTTP."""

    def card(self, watchlist_id: str, entry_id: str) -> EntryCard:
        """Return the card. Raises CardUnavailable."""
