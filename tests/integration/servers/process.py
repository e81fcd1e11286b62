"""A server as a child process: free ports, a log file, a wait for readiness, an orderly end by pid."""

import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

LOOPBACK = "127.0.0.1"
TAIL_LINES = 40
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LASTING_FROM = 15_000
EPHEMERAL_FROM = 32_768


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


def lasting_ports(count: int) -> list[int]:
    """Return `count` different free ports below those that the system gives to outgoing connections.

    For a server that is ended and started again on its port: meanwhile no client's own connection may sit on
    it, and none that tries to reach it may meet itself there.
    """
    below = int(PORT_RANGE.read_text().split()[0]) if PORT_RANGE.exists() else EPHEMERAL_FROM
    found: list[int] = []
    for port in secrets.SystemRandom().sample(range(LASTING_FROM, below), below - LASTING_FROM):
        if _can_bind(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ServerError(f"no {count} free ports from {LASTING_FROM} to {below}")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether something accepts connections on the loopback `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


class ServerProcess:
    """A running child process whose output goes to `log`; `user` is whose it is, if not this process's."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        self._begin = partial(
            subprocess.Popen, command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=env, user=user
        )
        self.begin_again()

    def begin_again(self) -> None:
        """Start the same command once more, on what it left; it must have ended."""
        with self.log.open("ab") as output:
            self._process = self._begin(stdout=output)

    def send(self, number: signal.Signals) -> None:
        """Send a signal and don't wait; nothing happens when it has ended."""
        self._process.send_signal(number)

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
