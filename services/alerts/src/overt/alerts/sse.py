"""The live stream of the pages: says that something changed, never what anybody judged."""

import json
from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.concurrency import run_in_threadpool

from overt.alerts.board import Board, Standing
from overt.alerts.live import Pulse
from overt.alerts.store import Store, Stored

HEARTBEAT_S = 1.0
REPLAY_LIMIT = 500


class _Kind(msgspec.Struct, frozen=True):
    type: str


class LiveStream:
    """Makes the stream of one open page."""

    def __init__(self, store: Store, board: Board, pulse: Pulse) -> None:
        self._store = store
        self._board = board
        self._pulse = pulse

    async def events(self, after: int, is_alive: Callable[[], bool]) -> AsyncIterator[str]:
        """Yield what happened after position `after`, then what happens, until the session ends.

        The id of an event is its place in the outbox: a browser that comes back with `Last-Event-ID` gets
        what it missed. A page that missed too much, or knows of more than there is, is told to start anew.
        A `status` goes out when an order, the count of faces or a reference card changed.
        """
        status = ""
        yield "retry: 1000\n\n"
        if await run_in_threadpool(self._is_lost, after):
            yield "event: reload\ndata: {}\n\n"
            return
        while is_alive() and not self._pulse.closed:
            seen = self._pulse.count
            for stored in await run_in_threadpool(self._store.events_after, after, REPLAY_LIMIT):
                after = stored.position
                yield _alert_event(stored)
            newest = await run_in_threadpool(self._status)
            # Something is sent each second in any case: so both ends notice a dead line soon.
            yield newest if newest != status else "event: beat\ndata: {}\n\n"
            status = newest
            await self._pulse.sleep(seen, HEARTBEAT_S)

    def key(self, standing: Standing) -> str:
        """Changes with everything on a page that no event tells of, but for the count of faces."""
        return f"{standing.key} {self._store.count_cards()}"

    def _is_lost(self, after: int) -> bool:
        last = self._store.last_position()
        return after > last or last - after > REPLAY_LIMIT

    def _status(self) -> str:
        standing = self._board.standing()
        data = json.dumps({"key": self.key(standing), "faces_seen": standing.faces_seen})
        return f"event: status\ndata: {data}\n\n"


def _alert_event(stored: Stored) -> str:
    kind = msgspec.json.decode(stored.event_json, type=_Kind).type
    data = json.dumps({"alert_id": stored.alert_id, "type": kind})
    return f"id: {stored.position}\nevent: alert\ndata: {data}\n\n"
