"""Runs the command as a user does, and reads what it said."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("OVERT_CACHE_DIR", ROOT / ".cache"))
CLIPS = Path(os.environ.get("OVERT_EVALUATION_DATA", ROOT.parent / "shared" / "data")) / "videos"


@dataclass(frozen=True, slots=True)
class Run:
    """What one `overt` command did."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        parsed: dict[str, Any] = json.loads(lines[0])
        return parsed

    @property
    def alerts(self) -> list[tuple[str, str]]:
        return [(alert["entry"], alert["camera"]) for alert in self.summary["alerts"]]


def overt(*arguments: str | Path, timeout_s: float = 240.0) -> Run:
    """Run `overt` in a process of its own, with this checkout's cache."""
    done = subprocess.run(
        [sys.executable, "-m", "overt.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "OVERT_CACHE_DIR": str(CACHE)},
    )
    return Run(done.returncode, done.stdout, done.stderr)


def overt_up(video: Path, watchlist: Path, data: Path, *more: str) -> Run:
    """Run a recording once, without dropping a picture, so that a slow machine sees what a fast one sees."""
    return overt(
        *("up", "--video", video, "--watchlist", watchlist, "--data", data),
        *("--once", "--json", "--port", "0", "--as-fast-as-possible", *more),
    )
