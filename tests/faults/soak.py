"""Lets everything run for long and looks whether memory, open files or threads of any process grow.

    make soak ARGS="--minutes 60"

The first part is left out as warm-up: allocators, caches and connections fill then. The last line says whether
it held; exit 1 when it did not: a process grew by more than is allowed or ended by itself, anything was lost or
doubled, or no pass was to be seen. With --out each sample goes to samples.csv.
"""

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .run import Outcome, Run
from .sample import Sample, sampled
from .stage import Stage, servers, staged
from .verdict import last_line, reasons_in_outcome

CAMERAS, SLOWER = 2, 4
EVERY_S = 2.0
WARM_UP_SHARE = 0.25
MAX_RSS_SHARE = 0.05
# A connection more or a thread of a pool that was not needed before is no leak.
MAX_MORE = 2
BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Growth:
    """How one process changed after the warm-up.

    `rss_share`: median of the last third against median of the first third. `slope_mb_h`: least squares.
    `deviation`: the largest distance from the median, as a share of it.
    """

    process: str
    rss_mb: float
    rss_share: float
    slope_mb_h: float
    deviation: float
    files_more: int
    threads_more: int
    shape: str

    @property
    def is_flat(self) -> bool:
        """Whether it stayed within what is allowed."""
        more = max(self.files_more, self.threads_more)
        return self.rss_share <= MAX_RSS_SHARE and more <= MAX_MORE


def growth(process: str, samples: Sequence[Sample]) -> Growth:
    """Return how `process` changed over `samples`, of which there must be three or more."""
    rss = [sample.rss_mb for sample in samples]
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]

    def more(what: str) -> float:
        early, late = (statistics.median(getattr(one, what) for one in part) for part in (first, last))
        return float(late - early)

    middle = statistics.median(rss)
    slope_mb_s, _ = statistics.linear_regression([one.at_s for one in samples], rss)
    return Growth(
        process=process,
        rss_mb=middle,
        rss_share=more("rss_mb") / statistics.median(one.rss_mb for one in first),
        slope_mb_h=slope_mb_s * 3600,
        deviation=max(abs(value - middle) for value in rss) / middle,
        files_more=round(more("files")),
        threads_more=round(more("threads")),
        shape=_drawn(rss),
    )


def _drawn(values: Sequence[float], width: int = 40) -> str:
    """Return a line of bars from the least to the largest value."""
    step = max(1, len(values) // width)
    means = [statistics.fmean(values[at : at + step]) for at in range(0, len(values), step)]
    low, span = min(means), max(max(means) - min(means), 1e-9)
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1))] for mean in means)


def soak(stage: Stage, minutes: float) -> tuple[Sequence[Sample], Sequence[Growth], Outcome]:
    """Let the cameras play; return every sample, the growth after the warm-up, and what the books say."""
    run, samples = Run(stage), list[Sample]()
    begun_s = last_s = time.monotonic()
    stage.order_all(apart_s=1.0, hours=minutes / 60 + 1)

    def look() -> None:
        nonlocal last_s
        if (now_s := time.monotonic()) - last_s >= EVERY_S:
            last_s = now_s
            samples.extend(sampled(stage.system.services, now_s - begun_s))

    run.watch(minutes * 60, look)
    outcome, _, _ = run.settle()
    warm_s = minutes * 60 * WARM_UP_SHARE
    grown = [
        growth(name, [one for one in samples if one.process == name and one.at_s > warm_s])
        for name in sorted({one.process for one in samples})
    ]
    return samples, grown, outcome


def table(grown: Sequence[Growth]) -> str:
    """Return the growth of each process as a table."""
    lines = [
        f"{'process':12} {'MB':>6} {'grew':>7} {'MB/h':>8} {'max dev':>8} {'files':>6} {'threads':>8}  shape"
    ]
    lines += [
        f"{one.process:12} {one.rss_mb:6.0f} {one.rss_share:+7.1%} {one.slope_mb_h:+8.1f} {one.deviation:8.1%}"
        f" {one.files_more:+6d} {one.threads_more:+8d}  {one.shape}{'' if one.is_flat else '  <- grows'}"
        for one in grown
    ]
    return "\n".join(lines)


def save(path: Path, samples: Sequence[Sample]) -> None:
    """Write every sample as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("at_s", "process", "rss_mb", "files", "threads"))
        writer.writerows(
            (f"{one.at_s:.1f}", one.process, f"{one.rss_mb:.1f}", one.files, one.threads) for one in samples
        )


def main() -> int:
    """Run, print, write the samples; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--cameras", type=int, default=CAMERAS)
    parser.add_argument("--out", type=Path, help="folder for samples.csv")
    told = parser.parse_args()
    with servers() as started, staged(*started, cameras=told.cameras, slower=SLOWER) as stage:
        samples, grown, outcome = soak(stage, told.minutes)
    sys.stdout.write(f"{table(grown)}\n{outcome}\n")
    if told.out is not None:
        told.out.mkdir(parents=True, exist_ok=True)
        save(told.out / "samples.csv", samples)
    reasons = [*(f"{one.process} grew" for one in grown if not one.is_flat), *reasons_in_outcome(outcome)]
    sys.stdout.write(last_line(reasons) + "\n")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
