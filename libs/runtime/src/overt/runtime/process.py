"""Runs the loops of one process until a signal, and ends all of them in order when one fails."""

import contextlib
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from types import FrameType
from typing import Literal

import structlog

from overt.runtime.health import Health

log = structlog.get_logger()

Runner = Callable[[threading.Event], None]

OK = 0
FAILED = 1
MISUSED = 2  # wrong settings, a port that is taken, a server that can't be reached: nothing was begun
INTERRUPTED = 130  # as shells say it: 128 + SIGINT


class CannotBegin(Exception):
    """Something a service needs is missing before it has begun: one line, exit code MISUSED."""


class Terminated(BaseException):
    """SIGTERM came before a service had begun: nothing is in hand, so it ends at once, with OK.

    No Exception, like KeyboardInterrupt: whatever waits at that moment must not take it for a failure.
    """


SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_no_core() -> None:
    """Have a crash of this process, or of one that it starts, write no core file: faces and keys are in it.

    One byte is too little for a file, and where the kernel pipes cores to a program (`core_pattern`) it is,
    unlike 0, what keeps it from doing so. PR_SET_DUMPABLE would do both as well, but it gives /proc/PID/fd to
    root, and nobody else could tell any longer whether a service leaks files. Only the limit in force is
    lowered. A hard limit of 0 stays.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if hard == 0 else 1, hard))


@dataclass(frozen=True, slots=True)
class _Ended:
    """A runner came back."""

    name: str
    failed: bool


_Event = _Ended | Literal["signal", "stopped"]


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM raise Terminated in the block, but for what `run` does there: it handles it in its own way.

    Only the main thread may; elsewhere signals stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(
    runners: Mapping[str, Runner], *, stop: threading.Event, health: Health, drain_timeout_s: float = 30.0
) -> int:
    """Run every runner in a thread of its own and return the exit code once all have come back.

    SIGTERM, SIGINT (once; a second one kills), the caller's `stop` and the first exception of a runner set
    `stop`; then each runner has `drain_timeout_s` to finish what it has in hand. 0: all ended well; 1: one
    failed or did not finish. A runner that comes back early ends alone. Threads are daemons: what does not
    finish can't keep the process.
    """
    # A queue that may be written to in a signal handler: an Event may not, its lock is not reentrant.
    events: SimpleQueue[_Event] = SimpleQueue()
    with _signals(events):
        for name, runner in runners.items():
            threading.Thread(target=_guard, args=(name, runner, stop, events), name=name, daemon=True).start()
        threading.Thread(target=_watch, args=(stop, events), name="stop", daemon=True).start()
        left, failed = _follow(set(runners), events, _stopper(stop, health), drain_timeout_s)
    stop.set()
    if left:
        log.error("did not finish in time", runners=sorted(left), drain_timeout_s=drain_timeout_s)
    return FAILED if left or failed else OK


def _follow(
    left: set[str], events: SimpleQueue[_Event], begin_stop: Callable[[], None], drain_timeout_s: float
) -> tuple[set[str], bool]:
    """Return the runners that did not come back in time, and whether one failed."""
    failed, deadline_s = False, None
    while left:
        try:
            event = events.get(timeout=None if deadline_s is None else max(0.0, deadline_s - monotonic()))
        except Empty:
            break
        if isinstance(event, _Ended):
            left.discard(event.name)
            failed |= event.failed
        if deadline_s is None and (failed or not isinstance(event, _Ended)):
            begin_stop()
            deadline_s = monotonic() + drain_timeout_s
            log.info("stopping", waiting_for=sorted(left))
    return left, failed


def _stopper(stop: threading.Event, health: Health) -> Callable[[], None]:
    def begin_stop() -> None:
        # First not ready, so that nothing new is sent here; then finish, commit, close.
        health.set("process", "stopping")
        stop.set()

    return begin_stop


def _guard(name: str, runner: Runner, stop: threading.Event, events: SimpleQueue[_Event]) -> None:
    failed = True
    try:
        runner(stop)
        failed = False
    except Exception as error:
        log.error("failed, the process ends", runner=name, error=type(error).__name__, reason=str(error))  # noqa: TRY400 - one line
        log.debug("where it failed", runner=name, exc_info=True)
    finally:
        events.put(_Ended(name, failed))


def _watch(stop: threading.Event, events: SimpleQueue[_Event]) -> None:
    stop.wait()
    events.put("stopped")


@contextlib.contextmanager
def _signals(events: SimpleQueue[_Event]) -> Iterator[None]:
    """Turn signals into events; only the main thread may, elsewhere `stop` is the caller's business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        events.put("signal")

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
