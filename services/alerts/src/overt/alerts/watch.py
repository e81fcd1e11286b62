"""Notices in one process what another wrote into the database, and wakes the open pages."""

from overt.alerts.live import Pulse
from overt.alerts.store import Store


class Watch:
    """Asks the database twice ten times a second, however many pages are open."""

    PAUSE_S = 0.1

    def __init__(self, store: Store, pulse: Pulse) -> None:
        self._store = store
        self._pulse = pulse
        self._seen = self._look()

    def step(self) -> int:
        """Wake the pages when there is something new; return 0, so that a runner pauses after each look."""
        found = self._look()
        if found != self._seen:
            self._seen = found
            self._pulse.beat()
        return 0

    def _look(self) -> tuple[int, int]:
        return self._store.last_position(), self._store.count_cards()
