"""Starts a real Apache Kafka (KRaft, one node) on the loopback address for tests."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .kafka_jars import INSTALL, kafka_jars
from .kafka_jvm import START_TIMEOUT_S, Jvm, common_properties, new_cluster_id, port_was_taken
from .process import LOOPBACK, ServerError, ServerProcess, lasting_ports, listens, require_program

# A port may be taken between being found free and being bound; that is rare, and twice in a row rarer.
START_ATTEMPTS = 3
LOG = "kafka.log"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=BROKER://{host}:{broker_port},CONTROLLER://{host}:{controller_port}{side_listener}
advertised.listeners=BROKER://{host}:{broker_port}{side_advertised}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,SIDE:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
log.dirs={data}
"""


@dataclass(frozen=True, slots=True)
class SideDoor:
    """A second listener, on `port`: who comes by it is sent on to port `advertised`, where a proxy is."""

    port: int
    advertised: int


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """A running broker: `bootstrap` is its `host:port`, `data_dir` holds its log segments."""

    bootstrap: str
    data_dir: Path
    process: ServerProcess

    @classmethod
    def start(cls, tools_dir: Path, work_dir: Path, side_door: SideDoor | None = None) -> Self:
        """Start a broker with its files in `work_dir`, its jars in `tools_dir`; return once it answers.

        Raises ServerError: a program is missing, the jars can't be fetched, or it did not start.
        """
        java = require_program("java", advice=INSTALL)
        jars = kafka_jars(tools_dir.resolve())
        for attempt in range(1, START_ATTEMPTS + 1):
            home = work_dir.resolve() / f"start-{attempt}"
            home.mkdir(parents=True)
            try:
                return cls._start_once(java, jars, home, side_door)
            except ServerError:
                if attempt == START_ATTEMPTS or not port_was_taken(home / LOG):
                    raise
        raise AssertionError("unreachable")

    @classmethod
    def _start_once(cls, java: str, jars: Path, home: Path, side_door: SideDoor | None) -> Self:
        broker_port, controller_port = lasting_ports(2)
        data, config, cluster_id = home / "data", home / "server.properties", new_cluster_id()
        places = PROPERTIES.format(
            host=LOOPBACK,
            broker_port=broker_port,
            controller_port=controller_port,
            data=data,
            side_listener=f",SIDE://{LOOPBACK}:{side_door.port}" if side_door else "",
            side_advertised=f",SIDE://{LOOPBACK}:{side_door.advertised}" if side_door else "",
        )
        config.write_text(places + common_properties(nodes=1))
        jvm = Jvm(java, jars, heap_mib=512)
        jvm.format(config, cluster_id)
        process = jvm.broker(config, log=home / LOG)
        server = cls(f"{LOOPBACK}:{broker_port}", data, process)
        try:
            server._wait(broker_port, cluster_id)
        except BaseException:
            server.stop()
            raise
        return server

    def _wait(self, port: int, cluster_id: str) -> None:
        # Readiness is what a client sees: the log promises it earlier, and says nothing without a binding.
        self.process.wait_until(lambda: listens(port), timeout_s=START_TIMEOUT_S)
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

        def answers() -> bool:
            try:
                cluster = admin.list_topics(timeout=1)
            except KafkaException:
                return False
            # Another broker on a port that was snatched from us would answer with its own id.
            return str(cluster) == cluster_id and len(cluster.brokers) == 1

        self.process.wait_until(answers, timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """End the broker; its files stay. Safe to call again."""
        self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
