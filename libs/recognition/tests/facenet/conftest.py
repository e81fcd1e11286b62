"""The pack in PyTorch: fetched and converted once, loaded once, on one thread."""

from pathlib import Path

import pytest

from overt.recognition.facenet.fetching import fetch_facenet
from overt.recognition.pack import Pack, load_pack


@pytest.fixture(scope="session")
def facenet_dir(cache_dir: Path) -> Path:
    folder = cache_dir / "models"
    fetch_facenet(folder, source=None, progress=lambda what, done, total: None)
    return folder


@pytest.fixture(scope="session")
def pack(facenet_dir: Path) -> Pack:
    return load_pack("facenet", facenet_dir)
