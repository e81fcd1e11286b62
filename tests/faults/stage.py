"""Overt on a real Kafka with cameras that play the labelled recording round and round: what every fault meets."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from overt.cli.demo import DemoFiles, prepare
from overt.cli.models import models_dir
from tests.integration.conftest import enrol
from tests.integration.deployed import PROCESSES, Deployed, LoginOf, nobody_logs_in
from tests.integration.servers.kafka import KafkaServer
from tests.integration.servers.milvus import MilvusServer
from tests.integration.topics_seen import READERS

from .judge import Judges
from .ledger import is_published
from .passes import Recording, slowed
from .supervisor import Supervisor

TOOLS = Path(__file__).parents[2] / ".tools"
CACHE = Path(__file__).parents[2] / ".cache"
RATE_HZ = 5.0
PATIENCE_S = 90.0
# Four cameras and six services share whatever machine this is; by default a picture is stale after 0.5 s.
FRESHNESS_S = 2.0


@dataclass(frozen=True)
class Stage:
    """Everything runs and is enrolled; `cameras` play as soon as they are ordered."""

    system: Deployed
    supervisor: Supervisor
    recording: Recording
    cameras: Sequence[str]
    judges: Judges
    orders: list[str]

    def order_all(self, *, apart_s: float = 0.0, hours: float = 1.0) -> Sequence[str]:
        """Order each camera under an order of its own, `apart_s` after the one before; return the orders."""
        for number, camera_id in enumerate(self.cameras):
            if number:
                self.watch(apart_s)
            self.orders.append(self.system.issue_order(camera_id, hours=hours))
        return self.orders[-len(self.cameras) :]

    def stop_orders(self) -> None:
        """Stop every order that was issued."""
        while self.orders:
            self.system.stop_order(self.orders.pop())

    def watch(self, seconds: float, every: Callable[[], object] = lambda: None) -> None:
        """Let time pass, begin again what ends, and call `every` about four times a second."""
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            self.supervisor.tick()
            every()
            time.sleep(min(0.25, left_s))

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> float:
        """Return the seconds it took until `condition()` was true, while ended services begin again."""
        begun_s = time.monotonic()
        while not condition():
            taken_s = time.monotonic() - begun_s
            assert taken_s < timeout_s, f"{timeout_s:.0f} s were not enough until {what}\n{self.state()}"
            self.supervisor.tick()
            time.sleep(0.1)
        return time.monotonic() - begun_s

    def end_capture(self) -> None:
        """End ingest in order, wait until everything that was captured is handled and published."""
        self.supervisor.until_all_ready()
        ingest = self.system.services.pop("ingest")
        self.supervisor.retire("ingest", ingest)
        for group in READERS:
            self.until(lambda group=group: self.system.topics.is_consumed(group), f"{group} has read all")  # type: ignore[misc]
        self.until(lambda: is_published(self.system), "the outbox is empty")

    def state(self) -> str:
        """Return what each service says of itself, for a test that failed."""
        return "\n".join(
            f"{name}: {service.readiness()}\n    " + "\n    ".join(line[:300] for line in service.lines[-6:])
            for name, service in self.system.services.items()
        )

    def begin_capture(self) -> None:
        """Start ingest again after `end_capture`; nothing plays before it is ordered."""
        self.system.begin("ingest")
        self.until(lambda: self.system.services["ingest"].ready, "ingest is ready")

    def begin_anew(self, name: str, **told: str) -> None:
        """End a service in order and start it again, told something else, until it is ready."""
        self.supervisor.retire(name, self.system.services.pop(name))
        self.system.begin(name, **told)
        self.until(lambda: self.system.services[name].ready, f"{name} is ready")

    def metric(self, service: str, name: str, **labels: str) -> float:
        """Return a metric, 0 while the service can't say."""
        try:
            return self.system.services[service].metric(name, **labels)
        except (httpx.TransportError, AssertionError):
            return 0.0

    def broker_answers(self) -> bool:
        """Whether Kafka answers."""
        admin = AdminClient({"bootstrap.servers": self.system.kafka.bootstrap, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False


@contextmanager
def staged(
    kafka: KafkaServer,
    milvus: MilvusServer,
    demo: DemoFiles,
    *,
    cameras: int,
    slower: int,
    disk_mb: int = 0,
    login: LoginOf = nobody_logs_in,
) -> Iterator[Stage]:
    """Start Overt with that many cameras over servers that run; it ends with the block.

    `disk_mb`: the alerts' database gets a disk of its own of that size, where this user may make one. `login`:
    see Deployed.
    """
    with tempfile.TemporaryDirectory(prefix="overt-faults-") as name, ExitStack() as undo:
        folder = Path(name)
        if disk_mb and os.geteuid() == 0:
            undo.enter_context(small_disk(folder / "alerts", disk_mb))
        recording = slowed(demo.clip, slower, folder)
        names = [f"camera-{number}" for number in range(1, cameras + 1)]
        told = [
            {"camera_id": camera, "source": str(recording.path), "loop": True, "rate_hz": RATE_HZ}
            for camera in names
        ]
        # As a StatefulSet would: who comes back under its name gets its partitions back at once.
        settings = {name: {"OVERT_KAFKA_INSTANCE_ID": f"{name}-0"} for name in PROCESSES}
        settings["detect"]["OVERT_DETECT_FRESHNESS_S"] = str(FRESHNESS_S)
        settings["alerts"]["OVERT_ALERTS_WINDOW_S"] = str(recording.window_s)
        models = models_dir(demo.clip.parents[1])
        with Deployed(folder, kafka, milvus, models, told, told=settings, login=login) as system:
            system.start()
            enrol(system, demo)
            orders: list[str] = []
            with closing(Judges(system, orders)) as judges:
                yield Stage(system, Supervisor(system), recording, names, judges, orders)


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    """Mount a disk of that size, in memory, at `folder` while the block lasts. Needs root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def servers(cache: Path = CACHE) -> Iterator[tuple[KafkaServer, MilvusServer, DemoFiles]]:
    """Start Kafka and Milvus for a command; tests have fixtures."""
    demo = prepare(cache)
    with tempfile.TemporaryDirectory(prefix="overt-servers-") as name:
        folder = Path(name)
        with (
            KafkaServer.start(TOOLS, folder / "kafka") as kafka,
            MilvusServer.start(folder / "milvus") as milvus,
        ):
            yield kafka, milvus, demo
