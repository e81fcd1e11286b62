"""Counts in a child process what its parent is to add to the metrics."""

import threading
from collections import Counter

from overt.ingest.piped import Counted


class Tally:
    """Counts between two reports. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def read(self) -> None:
        """Count a decoded picture."""
        with self._lock:
            self._counts["read"] += 1

    def sampled_out(self) -> None:
        """Count a picture that was passed over."""
        with self._lock:
            self._counts["sampled_out"] += 1

    def drop(self, reason: str) -> None:
        """Count a lost picture; `reason` is one that Counted knows."""
        with self._lock:
            self._dropped[reason] += 1

    def take(self) -> Counted | None:
        """Return what was counted since the last call, None when nothing was."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            dropped, self._dropped = self._dropped, Counter()
        if not counts and not dropped:
            return None
        return Counted(counts["read"], counts["sampled_out"], dict(dropped))  # type: ignore[arg-type]
