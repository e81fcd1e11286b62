"""Measures the live pipeline in one process: dropped pictures, picture-to-alert time, and computing used.

    uv run python benchmarks/pipeline.py --runs 5 [--video CLIP …]

Without --video the demo's clip is played. Each run is a process of its own, at camera speed, with the demo's
watchlist of one. Times are of this machine, which is printed; compare runs of one machine only.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overt.cli.datafolder import default_cache_dir
from overt.cli.demo import prepare
from overt.cli.summary import percentile


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `cpu_s`: user and system time of the whole process, start-up and enrolment included."""

    frames: int
    dropped: int
    faces: int
    tracks: int
    templates: int
    latencies_ms: tuple[float, ...]
    seconds: float
    cpu_s: float


def measure(video: Path, watchlist: Path, *, live: bool) -> Measured:
    """Play `video` once."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as data:
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "overt.cli",
                    "up",
                    "--video",
                    str(video),
                    "--watchlist",
                    str(watchlist),
                ),
                *("--data", data, "--category", "blue_list", "--port", "0", "--once", "--json"),
                "--live" if live else "--as-fast-as-possible",
            ],
            capture_output=True,
            check=True,
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)
    return Measured(
        frames=found["frames_read"],
        dropped=found["frames_dropped"],
        faces=found["faces_seen"],
        tracks=found["tracks"],
        templates=found["templates"],
        latencies_ms=tuple(alert["latency_ms"] for alert in found["alerts"]),
        seconds=found["seconds"],
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def spread(values: Sequence[float], unit: str) -> str:
    """Return median and range."""
    return f"{statistics.median(values):.1f} {unit} (from {min(values):.1f} to {max(values):.1f})"


def report(video: Path, runs: Sequence[Measured], *, live: bool) -> None:
    """Print one clip's figures."""
    first = runs[0]
    latencies = [one for run in runs for one in run.latencies_ms]
    print(f"\n{video.name}, {'live' if live else 'as fast as possible'}, {len(runs)} runs")
    print(f"  pictures read / dropped       {first.frames} / {', '.join(str(run.dropped) for run in runs)}")
    print(f"  faces seen / passes           {first.faces} / {first.tracks}")
    print(
        f"  templates                     {first.templates} ({first.templates / max(first.faces, 1):.1%} of faces)"
    )
    print(f"  seconds                       {spread([run.seconds for run in runs], 's')}")
    print(f"  pictures a second             {spread([run.frames / run.seconds for run in runs], '/s')}")
    print(f"  computing, start-up included  {spread([run.cpu_s for run in runs], 's')}")
    print(f"  alerts a run                  {', '.join(str(len(run.latencies_ms)) for run in runs)}")
    if latencies and live:
        print(
            f"  picture to alert              {spread(latencies, 'ms')}, p95 {percentile(latencies, 0.95):.0f} ms"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="runs a clip and speed (default 5)")
    parser.add_argument(
        "--video", type=Path, action="append", default=[], help="a clip of your own; may repeat"
    )
    arguments = parser.parse_args()
    files = prepare(default_cache_dir())
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}"
    )
    for video in arguments.video or [files.clip]:
        for live in (True, False):
            runs = [measure(video, files.watchlist, live=live) for _ in range(arguments.runs)]
            report(video, runs, live=live)


if __name__ == "__main__":
    main()
