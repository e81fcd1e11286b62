"""The demo's files, made once."""

import pytest

from overt.cli.demo import DemoFiles, prepare

from .running import CACHE


@pytest.fixture(scope="session")
def demo_files() -> DemoFiles:
    return prepare(CACHE)
