"""A process ends in order: by a signal, by its caller, or because a part of it failed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from overt.runtime import process
from overt.runtime.health import Health

PATIENCE_S = 60.0

PROGRAM = """
import os, sys, threading
from overt.runtime import logs, process
from overt.runtime.health import Health

logs.configure("INFO", "console")

def say(line):
    os.write(1, f"{line}\\n".encode())  # in one piece: print writes the line break on its own

def drains(stop):
    say("running")
    stop.wait()
    say("committed")

def fails(stop):
    raise ValueError("the model is not there")

def hangs(stop):
    say("running")
    threading.Event().wait()

runners = {name: globals()[name] for name in sys.argv[2:]}
drain_timeout_s = float(sys.argv[1])
sys.exit(process.run(runners, stop=threading.Event(), health=Health(), drain_timeout_s=drain_timeout_s))
"""


@contextmanager
def start(*runners: str, drain_timeout_s: float = PATIENCE_S) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(drain_timeout_s), *runners],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()  # after a failed assertion nobody would end it, and leaving the block waits for it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_process_ends_well(number: signal.Signals) -> None:
    with start("drains") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=PATIENCE_S)
    assert (child.returncode, out) == (process.OK, "committed\n")
    assert "Traceback" not in err


def test_one_that_fails_ends_all_with_one_clear_line() -> None:
    with start("drains", "fails") as child:
        out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == process.FAILED
    assert out.endswith("committed\n")
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert "the model is not there" in line
    assert "runner=fails" in line
    assert "Traceback" not in err


def test_one_that_does_not_finish_cannot_keep_the_process() -> None:
    with start("hangs", drain_timeout_s=0.1) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == process.FAILED
    assert "did not finish in time" in err


def test_a_second_signal_kills() -> None:
    with start("drains", "hangs") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert [child.stdout.readline() for _ in range(2)] == ["running\n"] * 2
        child.send_signal(signal.SIGINT)
        while "stopping" not in child.stderr.readline():
            pass
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE_S)
    assert child.returncode == -signal.SIGINT


def test_sigterm_before_anything_runs_is_terminated_and_later_it_is_the_runners_business() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def ends_itself(stop: threading.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(PATIENCE_S)

    codes: list[int] = []

    def serve() -> None:
        with process.ended_by_sigterm():
            codes.append(process.run({"one": ends_itself}, stop=threading.Event(), health=Health()))
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(process.Terminated):
        serve()
    assert codes == [process.OK]
    assert signal.getsignal(signal.SIGTERM) == before


def test_in_another_thread_signals_stay_as_they_are() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def look() -> None:
        with process.ended_by_sigterm():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(PATIENCE_S)
    assert seen == [before]


@dataclass
class Runs:
    """`process.run` in this process."""

    stop: threading.Event = field(default_factory=threading.Event)
    health: Health = field(default_factory=Health)

    def run(self, drain_timeout_s: float = PATIENCE_S, **runners: process.Runner) -> int:
        return process.run(runners, stop=self.stop, health=self.health, drain_timeout_s=drain_timeout_s)


def until_stopped(stop: threading.Event) -> None:
    assert stop.wait(PATIENCE_S)


def test_runners_that_all_come_back_end_the_process_well() -> None:
    runs = Runs()
    assert runs.run(one=lambda _: None, two=lambda _: None) == process.OK
    assert runs.stop.is_set()


def test_one_that_comes_back_early_ends_alone() -> None:
    runs, early, states = Runs(), threading.Event(), list[bool]()

    def late(stop: threading.Event) -> None:
        assert early.wait(PATIENCE_S)
        states.append(stop.is_set())

    assert runs.run(early=lambda _: early.set(), late=late) == process.OK
    assert states == [False]


def test_the_callers_stop_ends_all() -> None:
    runs = Runs()
    assert runs.run(one=until_stopped, two=until_stopped, caller=lambda stop: stop.set()) == process.OK


def test_it_is_not_ready_before_anybody_is_told_to_stop() -> None:
    runs, seen = Runs(), list[str]()

    def look(stop: threading.Event) -> None:
        assert stop.wait(PATIENCE_S)
        seen.extend(runs.health.problems().values())

    def fail(_: threading.Event) -> None:
        raise ValueError("no")

    with capture_logs():
        assert runs.run(look=look, fail=fail) == process.FAILED
    assert seen == ["stopping"]


def test_a_failure_while_stopping_is_a_failure() -> None:
    def fails_late(stop: threading.Event) -> None:
        assert stop.wait(PATIENCE_S)
        raise ValueError("the commit was lost")

    runs = Runs()
    with capture_logs() as lines:
        assert runs.run(late=fails_late, caller=lambda stop: stop.set()) == process.FAILED
    assert [line["reason"] for line in lines if line["log_level"] == "error"] == ["the commit was lost"]


def test_no_runners_is_an_end_at_once() -> None:
    assert Runs().run() == process.OK


def test_signal_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in process.SIGNALS]
    Runs().run(one=lambda _: None)
    assert [signal.getsignal(number) for number in process.SIGNALS] == before


def test_off_the_main_thread_signals_are_left_alone() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(Runs().run(one=lambda _: None)))
    thread.start()
    thread.join(PATIENCE_S)
    assert codes == [process.OK]


def test_a_signal_in_this_process_is_caught_by_the_run() -> None:
    runs = Runs()

    def send(stop: threading.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        until_stopped(stop)

    assert runs.run(send=send) == process.OK


CRASH = """
import os, resource
from overt.runtime import process

hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
process.leave_no_core()
print(resource.getrlimit(resource.RLIMIT_CORE) == (min(1, hard) if hard >= 0 else 1, hard), flush=True)
os.abort()
"""


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CRASH]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGABRT, "True\n")
    assert list(tmp_path.iterdir()) == []
