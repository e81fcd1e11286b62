"""Measures Overt against other ways to do it, on one clip and one machine: frames a second, faces, people, embeddings.

    uv run --with 'opencv-python-headless>=5' python -m benchmarks.crowd CLIP --out RESULT
        --facenet-python .venv-facenet/bin/python --models .cache/models

Contenders: Overt's services with the `cpu` pack (at the service's own 960 pixels, and at the clip's whole size)
and with the `facenet` pack; facenet-pytorch as its README uses it; OpenCV's FaceDetectorYN and FaceRecognizerSF
on every face, at both sizes too. facenet-pytorch and the facenet pack run in the interpreter that
`--facenet-python` names. One that is not installed is told as missing.

Each run is a process of its own, on all cores it takes; runs take turns, in another order in every round. A run is
timed from its first decoded frame to its last result, decoding of the rest included. `computing` is processor
time, which says more than the clock where others use the machine. How people are counted: crowd_people.py.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av

from benchmarks.crowd_people import People, people_in
from overt.cli.datafolder import default_cache_dir
from overt.cli.models import models_dir
from overt.recognition.pack import load_pack

ROOT = Path(__file__).resolve().parent.parent
MOST_EMBEDDED = 0.25
TORCH = ("torch", "facenet_pytorch")
# Waiting threads sleep. Where others use the machine, threads that spin for each other take minutes.
QUIET = {"OMP_WAIT_POLICY": "passive", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True, slots=True)
class Contender:
    """How one is started; CLIP and OUT come after `command`, then `arguments`. `needs`: modules it imports."""

    name: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contender; each frame's rows as crowd_result.Row says."""

    seconds: float
    computing_s: float
    templates: int
    frames: list[list[list[float]]]

    @property
    def faces(self) -> int:
        """Faces over all frames."""
        return sum(len(rows) for rows in self.frames)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one contender came to over all rounds."""

    frames_a_second: list[float]
    computing_ms_a_frame: list[float]
    faces_a_frame: float
    templates: int
    embedded_share: float
    people: People


def contenders(options: argparse.Namespace, width_px: int) -> list[Contender]:
    """Return all of them, installed or not."""
    here, facenet, models = (
        sys.executable,
        str(options.facenet_python.absolute()),
        str(options.models.resolve()),
    )

    def overt(name: str, pack: str, side_px: int) -> Contender:
        python, needs = (here, ()) if pack == "cpu" else (facenet, TORCH)
        what = ("--pack", pack, "--models", models, "--longest", str(side_px), "--width", str(width_px))
        return Contender(name, (python, "-m", "benchmarks.crowd_overt"), what, needs)

    def opencv(name: str, side_px: int) -> Contender:
        command = (str(options.opencv_python.absolute()), "-m", "benchmarks.crowd_opencv")
        return Contender(name, command, (models, str(side_px)), ("cv2",))

    return [
        overt("cpu", "cpu", 960),
        overt(f"cpu, {width_px} px", "cpu", width_px),
        overt("facenet", "facenet", 960),
        Contender(
            "facenet-pytorch",
            (facenet, "-m", "benchmarks.crowd_facenet_pytorch"),
            (models,),
            (*TORCH, "av"),
        ),
        opencv("OpenCV, 960 px", 960),
        opencv(f"OpenCV, {width_px} px", width_px),
    ]


def why_missing(contender: Contender) -> str | None:
    """Return what a contender lacks."""
    for module in contender.needs:
        try:
            done = subprocess.run(
                [contender.command[0], "-c", f"import {module}"], capture_output=True, check=False
            )
        except OSError as error:
            return f"{contender.command[0]}: {error.strerror}"
        if done.returncode:
            return f"{module} is not installed for {contender.command[0]}"
    return None


def play(contender: Contender, clip: Path, folder: Path) -> Run:
    """Run one contender once. Raises SystemExit with its own words when it fails."""
    out = folder / "run.json"
    done = subprocess.run(
        [*contender.command, str(clip.resolve()), str(out), *contender.arguments],
        cwd=ROOT,
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{contender.name} failed: {done.stderr.strip()[-2000:]}")
    content: dict[str, Any] = json.loads(out.read_text())
    return Run(**content)


def figures(runs: Sequence[Run], people: People) -> Figures:
    """Return one contender's figures; what it found is the same in every run but for rounding."""
    first, frames = runs[0], len(runs[0].frames)
    return Figures(
        frames_a_second=[frames / run.seconds for run in runs],
        computing_ms_a_frame=[1000 * run.computing_s / frames for run in runs],
        faces_a_frame=first.faces / frames,
        templates=first.templates,
        embedded_share=first.templates / max(first.faces, 1),
        people=people,
    )


def spread(values: Sequence[float]) -> str:
    """Return median and range."""
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def ratio(own: Sequence[float], base: Sequence[float]) -> str:
    """Return the median of the rounds' ratios and their range."""
    each = [a / b for a, b in zip(own, base, strict=True)]
    return f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


def report(measured: Mapping[str, Figures], people: int) -> None:
    """Print the table."""
    print(f"{people} people found by anybody; found (by another one too) / with a template")
    base = measured["cpu"].frames_a_second
    for name, one in measured.items():
        print(f"{name}")
        print(f"  frames/s {spread(one.frames_a_second)}, times cpu {ratio(one.frames_a_second, base)}")
        print(f"  computing ms a frame {spread(one.computing_ms_a_frame)}")
        print(
            f"  faces a frame {one.faces_a_frame:.2f}; embedded {one.templates} = {one.embedded_share:.1%}; people"
            f" {one.people.found} ({one.people.found_by_others_too}) / {one.people.embedded}"
            f"; by least frames {one.people.found_in_more}"
        )


def checks(measured: Mapping[str, Figures]) -> dict[str, bool]:
    """Return what must hold."""
    cpu = measured["cpu"]
    # The pack has one size by default and another one a zone away: who wants the smallest faces pays for them.
    best = max(
        (one for name, one in measured.items() if name.startswith("cpu")), key=lambda one: one.people.found
    )
    return {
        "cpu, at one of its sizes, finds at least as many people as any": all(
            best.people.found >= one.people.found for one in measured.values()
        ),
        "cpu embeds at most 25 % of the faces it sees": cpu.embedded_share <= MOST_EMBEDDED,
    }


def plot(path: Path, measured: Mapping[str, Figures]) -> None:
    """Draw speed, people and share embedded, a bar a contender."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    drawing, panels = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True)
    names = list(measured)
    speeds = [one.frames_a_second for one in measured.values()]
    middle = [statistics.median(each) for each in speeds]
    low_high = [
        [m - min(each) for m, each in zip(middle, speeds, strict=True)],
        [max(each) - m for m, each in zip(middle, speeds, strict=True)],
    ]
    panels[0].barh(names, middle, xerr=low_high)
    panels[1].barh(names, [one.people.found for one in measured.values()])
    panels[2].barh(names, [100 * one.embedded_share for one in measured.values()])
    panels[2].axvline(100 * MOST_EMBEDDED, color="grey", linestyle=":")
    for axes, label in zip(panels, ("frames a second", "people found", "faces embedded, %"), strict=True):
        axes.set_xlabel(label)
    panels[0].invert_yaxis()
    drawing.tight_layout()
    drawing.savefig(path, dpi=130)


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--models", type=Path, default=models_dir(default_cache_dir()))
    parser.add_argument("--facenet-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--opencv-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender (default 3)")
    parser.add_argument("--only", action="append", default=[], help="a contender besides cpu; may repeat")
    parser.add_argument("--out", type=Path, required=True, help="where crowd.json and crowd.png go")
    return parser.parse_args(arguments)


def rounds(there: Sequence[Contender], clip: Path, times: int) -> dict[str, list[Run]]:
    """Run everybody `times` times, taking turns, every other round backwards."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in there}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(times):
            for contender in there if number % 2 == 0 else reversed(there):
                runs[contender.name].append(play(contender, clip, Path(folder)))
                print(f"round {number + 1}: {contender.name}", file=sys.stderr)
    return runs


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep; exit code 1 when something that must hold does not."""
    options = arguments_of(arguments)
    with av.open(str(options.clip)) as container:
        stream = container.streams.video[0]
        width_px, period_ns = stream.codec_context.width, int(1e9 / float(stream.average_rate or 25))
    load = os.getloadavg()[0]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, load before {load:.1f}")
    all_ = contenders(options, width_px)
    wanted = [one for one in all_ if not options.only or one.name in {"cpu", *options.only}]
    missing = {one.name: why for one in wanted if (why := why_missing(one)) is not None}
    runs = rounds([one for one in wanted if one.name not in missing], options.clip, options.rounds)
    embedder = load_pack("cpu", options.models, threads=2).embedder
    firsts = {name: each[0].frames for name, each in runs.items()}
    people, by_contender = people_in(options.clip, firsts, embedder, period_ns)
    measured = {name: figures(each, by_contender[name]) for name, each in runs.items()}
    report(measured, people)
    for name, why in missing.items():
        print(f"MISSING {name}: {why}")
    held = checks(measured)
    for rule, holds in held.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {rule}{' (of those present)' if missing else ''}")
    options.out.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": machine,
        "load_before": load,
        "missing": missing,
        "people_found_by_anybody": people,
        "contenders": {name: asdict(one) for name, one in measured.items()},
        "holds": held,
    }
    (options.out / "crowd.json").write_text(json.dumps(content, indent=1))
    plot(options.out / "crowd.png", measured)
    raise SystemExit(0 if all(held.values()) else 1)


if __name__ == "__main__":
    main()
