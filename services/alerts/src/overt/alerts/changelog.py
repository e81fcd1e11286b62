"""Reads the changelog of the stream's table: what can't be read there counts as nothing remembered.

The table only spares work: a mark that is not known costs a question to the database, and a stream that can't
begin would cost alerts.
"""

from typing import Any

import structlog
from faust.serializers import codecs

log = structlog.get_logger()

# Of a window that is long over, so that the table forgets it again.
NO_KEY = ["", [0.0, 0.0]]


class WindowKeys(codecs.json):
    """Reads and writes keys of a window: an entry's key, and when the window begins and ends, in UNIX seconds."""

    def _loads(self, s: bytes) -> Any:
        match _parsed(s):
            case [str(), [int() | float(), int() | float()]] as key:
                return key
        log.warning("unreadable key on the changelog")
        return NO_KEY


class Marks(codecs.json):
    """Reads and writes the marks of a window: a list of texts."""

    def _loads(self, s: bytes) -> Any:
        marks = _parsed(s)
        if isinstance(marks, list) and all(isinstance(mark, str) for mark in marks):
            return marks
        log.warning("unreadable marks on the changelog")
        return []


def _parsed(data: bytes) -> Any:
    try:
        return codecs.json().loads(data)
    except (ValueError, RecursionError):
        return None
