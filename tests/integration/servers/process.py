"""A server as a child process: free ports, a log file, a wait for readiness, an orderly end by pid."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

LOOPBACK = "127.0.0.1"
TAIL_LINES = 40


class ServerError(Exception):
    """A test server can't be had: a program is missing, or it did not start. The text says what to do."""


def require_program(name: str, *, advice: str) -> str:
    """Return the path of program `name`. Raises ServerError, with `advice`, when it is not on the PATH."""
    found = shutil.which(name)
    if found is None:
        raise ServerError(f"'{name}' is not on the PATH, and the integration tests need it: {advice}")
    return found


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports of the loopback address that were free a moment ago.

    Another process may take one before the server binds it, so a start is tried more than once.
    """
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def listens(port: int) -> bool:
    """Whether something accepts connections on the loopback `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


class ServerProcess:
    """A running child process whose output goes to `log`."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Return once `ready()` is true. Raises ServerError, with the log's tail, if it dies or takes longer."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {timeout_s:.0f} s")
            if self._ended_within(0.1):
                raise self.failure(f"ended with code {self._process.returncode} before it was ready")

    def failure(self, what: str) -> ServerError:
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        text = "\n".join(f"  | {line}" for line in lines) or "  | (it wrote nothing)"
        return ServerError(f"the server {what}; the end of {self.log}:\n{text}")

    def stop(self, *first: signal.Signals, grace_s: float = 20) -> int:
        """End the process: each signal of `first`, then SIGTERM, then SIGKILL, each given `grace_s`.

        Returns the exit code. Safe to call again.
        """
        for each in (*first, signal.SIGTERM, signal.SIGKILL):
            if self.alive:
                self._process.send_signal(each)
            if self._ended_within(grace_s):
                break
        else:
            raise self.failure(f"(pid {self.pid}) did not end when killed")
        return int(self._process.returncode)

    def _ended_within(self, timeout_s: float) -> bool:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True
