"""The pack and the photographs that tests share, fetched once and cached outside of what git keeps."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.recognition.models import fetch_models
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.samples import fetch_samples

ROOT = Path(__file__).resolve().parents[3]
# The pack in PyTorch is tested where PyTorch is: `make test-facenet`.
collect_ignore = [] if importlib.util.find_spec("torch") else ["facenet"]


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    return Path(os.environ.get("OVERT_CACHE_DIR") or ROOT / ".cache")


@pytest.fixture(scope="session")
def models_dir(cache_dir: Path) -> Path:
    folder = Path(os.environ.get("OVERT_MODELS_DIR") or cache_dir / "models")
    fetch_models(folder, source=None, progress=lambda what, done, total: None)
    return folder


@pytest.fixture(scope="session")
def pack(models_dir: Path) -> Pack:
    return load_pack("cpu", models_dir)


@pytest.fixture(scope="session")
def photographs(cache_dir: Path) -> Mapping[str, NDArray[np.uint8]]:
    paths = fetch_samples(cache_dir / "samples", lambda what, done, total: None)
    return {name: load_picture(path) for name, path in paths.items()}
