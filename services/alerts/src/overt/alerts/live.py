"""Tells threads and open pages that something changed."""

import asyncio
import threading


class Pulse:
    """A counter that grows with every change and wakes who waits for it, in threads and in event loops."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._closed = False
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def count(self) -> int:
        """How many changes there have been."""
        return self._count

    @property
    def closed(self) -> bool:
        """Whether the service is going: open streams end."""
        return self._closed

    def beat(self) -> None:
        """Something changed."""
        self._wake(closed=False)

    def close(self) -> None:
        """The service is going."""
        self._wake(closed=True)

    def wait(self, seen: int, timeout_s: float) -> None:
        """Return when the count is no longer `seen`, or after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != seen or self._closed, timeout_s)

    async def sleep(self, seen: int, timeout_s: float) -> None:
        """As `wait`, for a coroutine."""
        event = asyncio.Event()
        sleeper = (asyncio.get_running_loop(), event)
        with self._changed:
            if self._count != seen or self._closed:
                return
            self._sleepers.add(sleeper)
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except TimeoutError:
            pass
        finally:
            with self._changed:
                self._sleepers.discard(sleeper)

    def _wake(self, *, closed: bool) -> None:
        with self._changed:
            self._count += 1
            self._closed = self._closed or closed
            self._changed.notify_all()
            for loop, event in self._sleepers:
                loop.call_soon_threadsafe(event.set)
