"""The demo: fetch real pictures once, compose the clip once, and run it like anybody's own input."""

import hashlib
import inspect
import shutil
from dataclasses import dataclass
from pathlib import Path

from overt.cli import scene, walkthrough
from overt.cli.embedded import UpOptions, up
from overt.cli.models import models_dir
from overt.cli.progress import counting, say, steps
from overt.cli.summary import Summary
from overt.recognition.models import fetch_models
from overt.recognition.pypi import locked
from overt.recognition.samples import fetch_samples

PLACE = "the demo's square"


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """What the demo plays: the clip, and the folder with the one enrolled photograph."""

    clip: Path
    watchlist: Path


def prepare(cache: Path) -> DemoFiles:
    """Fetch models and pictures, compose the clip; what is there already is not done again.

    Raises FetchFailed with what to do without a network.
    """
    with steps() as report:
        fetch_models(models_dir(cache), source=None, progress=report)
        samples = fetch_samples(cache / "samples", report)
        # Named after the script that draws it: a changed scene is a new clip, never a stale one.
        clip = cache / "demo" / f"walk-through-{_scene_version()}.mp4"
        clip.parent.mkdir(parents=True, exist_ok=True)
        with locked(clip.parent):  # a second demo waits for the clip instead of drawing it too
            if not clip.is_file():
                walkthrough.compose(samples, clip, counting(report, "composing the walk-through clip"))
    watchlist = cache / "demo" / "watchlist"
    watchlist.mkdir(exist_ok=True)
    shutil.copyfile(samples[scene.ENROLLED_SAMPLE], watchlist / "blue-list-1.jpg")
    return DemoFiles(clip, watchlist)


def run(cache: Path, data_dir: Path, *, once: bool, port: int, open_browser: bool) -> tuple[Summary, int]:
    """Run the demo; see overt.cli.embedded.up."""
    files = prepare(cache)
    say("One photograph is enrolled as blue list; another photograph of the same man walks in at second 6.")
    return up(
        UpOptions(
            videos=(str(files.clip),),
            watchlist=files.watchlist,
            data_dir=data_dir / "demo",
            cache_dir=cache,
            category="blue_list",
            purpose="protective_event",
            place=PLACE,
            hours=1.0,
            once=once,
            port=port,
            open_browser=open_browser,
            fresh=True,
        )
    )


def _scene_version() -> str:
    source = inspect.getsource(scene) + inspect.getsource(walkthrough)
    return hashlib.sha256(source.encode()).hexdigest()[:12]
