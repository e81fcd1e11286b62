"""One real Apache Kafka, one Milvus and one Overt of six processes for all integration tests of a run."""

import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from overt.cli.demo import DemoFiles, prepare
from overt.cli.models import models_dir

from .deployed import CAMERA, LOOPED, WATCHLIST, Deployed, Report
from .servers.kafka import KafkaServer
from .servers.kafka_cluster import KafkaCluster
from .servers.kafka_jars import kafka_jars
from .servers.milvus import MilvusServer
from .servers.postgres import PostgresServer
from .servers.process import ServerError
from .servers.serve import equip

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
def tools_dir(request: pytest.FixtureRequest) -> Path:
    """Return the folder, outside version control, where Kafka's jars are: fetched once, then kept."""
    folder = Path(__file__).parents[2] / ".tools"
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    # The first time it fetches 44 MB: whoever waits should see that, so nothing is captured here.
    with capture.global_and_fixture_disabled():
        _started(lambda: kafka_jars(folder))
    return folder


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, tools_dir: Path) -> Iterator[KafkaServer]:
    """Return a broker shared by the run: a test makes its own topics, with names of its own."""
    server = _started(lambda: KafkaServer.start(tools_dir, tmp_path_factory.mktemp("kafka")))
    with server:
        yield server


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory, tools_dir: Path) -> Iterator[KafkaCluster]:
    """Return a node with logins, every topic and the access rules, shared by the tests of those rules."""
    with _secured(tools_dir, tmp_path_factory.mktemp("secured-kafka")) as cluster:
        yield cluster


@contextmanager
def _secured(tools_dir: Path, folder: Path) -> Iterator[KafkaCluster]:
    cluster = _started(lambda: KafkaCluster.start(tools_dir, folder))
    with cluster:
        equip(cluster)
        yield cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a server shared by the run: a test makes its own database with `.database()`."""
    server = _started(PostgresServer.start)
    with server:
        yield server


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """Return a server shared by the run: a test makes its own collections, with names of its own."""
    server = _started(lambda: MilvusServer.start(tmp_path_factory.mktemp("milvus")))
    with server:
        yield server


@pytest.fixture(scope="session")
def cache() -> Path:
    return Path(os.environ.get("OVERT_CACHE_DIR") or Path(__file__).parents[2] / ".cache")


@pytest.fixture(scope="session")
def demo(cache: Path) -> DemoFiles:
    return prepare(cache)


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Return what prints a measured time; no test depends on one."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None

    def tell(text: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"\n  measured: {text}\n")

    return tell


@pytest.fixture(scope="session")
def system_kafka(tmp_path_factory: pytest.TempPathFactory, tools_dir: Path) -> Iterator[KafkaCluster]:
    """Return the whole system's own secured node: on the other one tests write to every topic."""
    with _secured(tools_dir, tmp_path_factory.mktemp("system-kafka")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def whole_system(
    system_kafka: KafkaCluster,
    milvus: MilvusServer,
    postgres: PostgresServer,
    demo: DemoFiles,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployed]:
    """Everything runs, each service with its own login; the photograph is enrolled, no order is issued yet."""
    names = {CAMERA: False} | dict.fromkeys(LOOPED, True)
    cameras = [{"camera_id": name, "source": str(demo.clip), "loop": loop} for name, loop in names.items()]
    folder = tmp_path_factory.mktemp("deployed")
    (data_dir,) = system_kafka.data_dirs
    node = KafkaServer(system_kafka.bootstrap, data_dir, system_kafka.process(1))
    with Deployed(
        folder,
        node,
        milvus,
        models_dir(demo.clip.parents[1]),
        cameras,
        alerts_database_url=postgres.database(),
        login=system_kafka.login,
    ) as system:
        try:
            system.start()
            enrol(system, demo)
        except BaseException as error:
            error.add_note(system.tails())
            raise
        yield system


def enrol(system: Deployed, demo: DemoFiles) -> None:
    (photograph,) = demo.watchlist.iterdir()
    picture = b64encode(photograph.read_bytes()).decode()
    body = {"label": photograph.stem, "category": "blue_list", "picture": picture}
    assert (
        system.officer("POST", f"/watchlists/{WATCHLIST}/pictures", body).json()["entry_id"] == "blue-list-1"
    )


@pytest.fixture
def system(whole_system: Deployed, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    """The running system; started again after a test that ended it, and its logs shown after one that failed."""
    whole_system.ensure_running()
    failed_before = request.session.testsfailed
    yield whole_system
    if request.session.testsfailed > failed_before:
        sys.stderr.write(whole_system.tails())
