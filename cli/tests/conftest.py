"""A tiny labelled set made of the sample photographs: one man three times, two women and a man once, one bad file."""

import os
import shutil
from pathlib import Path

import pytest

from overt.recognition.models import fetch_models
from overt.recognition.samples import fetch_samples

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = {"obama": "one", "obama2": "one", "obama3": "one", "biden": "two", "astronaut": "three"}
PEOPLE |= {"grace_hopper": "four"}


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    cache = Path(os.environ.get("OVERT_CACHE_DIR") or ROOT / ".cache")
    fetch_models(cache / "models", source=None, progress=quiet)
    return cache


@pytest.fixture(scope="session")
def people_folder(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a person; in the second one's a file that is no picture besides."""
    folder = tmp_path_factory.mktemp("people")
    for sample, path in fetch_samples(cache_dir / "samples", quiet).items():
        (folder / PEOPLE[sample]).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / PEOPLE[sample] / f"{sample}{path.suffix}")
    (folder / "two" / "broken.jpg").write_text("no picture")
    return folder
