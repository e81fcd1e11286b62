"""One real Apache Kafka and one Milvus server for all integration tests of a run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from .servers.kafka import KafkaServer
from .servers.milvus import MilvusServer
from .servers.process import ServerError

Server = TypeVar("Server")


def _started(start: Callable[[], Server]) -> Server:
    """Return the server, or fail, never skip: a green run must mean that the real one was there."""
    try:
        return start()
    except ServerError as error:
        refusal = str(error)
    # Outside the handler, so that the message is not printed twice, as its own cause.
    pytest.fail(refusal, pytrace=False)


@pytest.fixture(scope="session")
def tools_dir() -> Path:
    """Return the folder, outside version control, where what is fetched once is kept."""
    return Path(__file__).parents[2] / ".tools"


@pytest.fixture(scope="session")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tools_dir: Path
) -> Iterator[KafkaServer]:
    """Return a broker shared by the run: a test makes its own topics, with names of its own."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    # The first start fetches 44 MB: whoever waits should see that, so nothing is captured here.
    with capture.global_and_fixture_disabled():
        server = _started(lambda: KafkaServer.start(tools_dir, tmp_path_factory.mktemp("kafka")))
    with server:
        yield server


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """Return a server shared by the run: a test makes its own collections, with names of its own."""
    server = _started(lambda: MilvusServer.start(tmp_path_factory.mktemp("milvus")))
    with server:
        yield server
