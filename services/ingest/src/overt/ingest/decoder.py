"""Starts, hears and kills the child process that decodes one camera."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from overt.ingest.piped import TOLD, Finished, Garbled, Inlet, Job, PipeEnded, Told, send

log = structlog.get_logger()

# The environment of the parent holds the addresses of cameras and the secrets of the service.
HANDED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ")
# A killed process is gone in milliseconds, unless it waits in the kernel for a device that hangs.
REAP_S = 1.0


class Decoder(Protocol):
    """What decodes one camera for one stretch of an order. Belongs to one thread."""

    def take(self, timeout_s: float) -> Told | None:
        """Return what it tells next, None when it says nothing in time. Finished is always its last word."""

    def kill(self) -> None:
        """End it at once, whatever it is doing; nothing of it is heard any more."""


StartDecoder = Callable[[Job], Decoder]


class DecoderProcess:
    """See Decoder: `python -m overt.ingest.child`."""

    def __init__(self, job: Job, environment: Mapping[str, str]) -> None:
        """Start it. It learns where its camera is through a pipe: other users can read a command line."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "overt.ingest.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Libraries write what they like there, addresses too. What matters comes as the last word.
            stderr=subprocess.DEVNULL,
            env={name: environment[name] for name in HANDED_ON if name in environment},
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipes = (self._process.stdin, self._process.stdout)
        self._inlet = Inlet(self._process.stdout.fileno(), TOLD)
        try:
            send(self._process.stdin.fileno(), job)
        except BrokenPipeError:
            log.debug("the decoder ended before it was told its job")

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def take(self, timeout_s: float) -> Told | None:
        """See Decoder."""
        try:
            return self._inlet.take(timeout_s)
        except PipeEnded:
            return Finished("crashed", f"its decoder ended by itself: {self._ending()}")
        except Garbled:
            return Finished("crashed", "its decoder told nonsense")

    def kill(self) -> None:
        """See Decoder."""
        self._process.kill()
        for pipe in self._pipes:
            pipe.close()
        try:
            self._process.wait(REAP_S)
        except subprocess.TimeoutExpired:
            # It is reaped when the next one is started: `subprocess` keeps the list.
            log.warning("a killed decoder has not ended yet: its device hangs", pid=self.pid)

    def _ending(self) -> str:
        try:
            code = self._process.wait(REAP_S)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def start_process(job: Job) -> Decoder:
    """Start a child process for `job`."""
    return DecoderProcess(job, os.environ)
