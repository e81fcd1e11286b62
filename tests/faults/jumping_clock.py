"""Runs a service whose wall clock is wrong by the seconds that stand in a file, looked up each time it is read.

    python -m tests.faults.jumping_clock FILE overt.alerts stream

It is Python's wall clock that jumps (`time.time` and `time.time_ns`). The monotonic one does not, nor does what
C libraries read.
"""

import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Time = TypeVar("Time", int, float)


def jumping(clock: Callable[[], Time], file: Path, units_per_s: int) -> Callable[[], Time]:
    """Return `clock`, wrong by as many seconds as stand in `file` at each reading."""
    return lambda: clock() + int(file.read_text()) * units_per_s


def jump(file: Path, seconds: int) -> None:
    """Have every clock that reads `file` be wrong by `seconds` from now on."""
    told = file.with_suffix(".new")
    told.write_text(str(seconds))
    told.replace(file)


def main(file: Path, module: str) -> None:
    """Run `module` with such a clock."""
    time.time = jumping(time.time, file, 1)
    time.time_ns = jumping(time.time_ns, file, 10**9)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(Path(sys.argv.pop(1)), sys.argv.pop(1))
