"""What every contender of crowd.py writes: how long it took and the faces of each frame. Needs nothing installed."""

import json
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# left, top, right, bottom, five landmarks (x, y), score, 1.0 if it became a template: pixels of the frame.
Row = Sequence[float]


def _computing_s() -> float:
    """Return user and system time of this process and the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass
class Stopwatch:
    """Runs from the first frame in hand to the last result: loading models is nobody's speed."""

    started_s: float | None = None
    seconds: float = 0.0
    computing_s: float = 0.0

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self.started_s is None:
            self.started_s = time.perf_counter()
            self.computing_s = -_computing_s()

    def stop(self) -> None:
        """End."""
        assert self.started_s is not None
        self.seconds = time.perf_counter() - self.started_s


def write(path: Path, watch: Stopwatch, frames: Sequence[Sequence[Row]], *, templates: int) -> None:
    """Write one run. Computing is counted to here, when children have been waited for."""
    content = {
        "seconds": watch.seconds,
        "computing_s": watch.computing_s + _computing_s(),
        "templates": templates,
        "frames": frames,
    }
    path.write_text(json.dumps(content))
