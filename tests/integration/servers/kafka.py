"""Starts a real Apache Kafka (KRaft, one node) on the loopback address for tests."""

import base64
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .kafka_jars import INSTALL, kafka_jars
from .process import LOOPBACK, ServerError, ServerProcess, free_ports, listens, require_program

START_TIMEOUT_S = 60.0
# A port may be taken between being found free and being bound; that is rare, and twice in a row rarer.
START_ATTEMPTS = 3
LOG = "kafka.log"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=BROKER://{host}:{broker_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=BROKER://{host}:{broker_port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
log.dirs={data}

# Topics are made by us, with their partitions and retention, never by a typing error.
auto.create.topics.enable=false

# Retention is looked at every second, from the start, so that a test can wait for it.
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.segment.delete.delay.ms=1000
log.cleaner.backoff.ms=1000

# One node: nothing to replicate to, and no second member to wait for.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """A running broker: `bootstrap` is its `host:port`, `data_dir` holds its log segments."""

    bootstrap: str
    data_dir: Path
    process: ServerProcess

    @classmethod
    def start(cls, tools_dir: Path, work_dir: Path) -> Self:
        """Start a broker with its files in `work_dir`, its jars in `tools_dir`; return once it answers.

        Raises ServerError: a program is missing, the jars can't be fetched, or it did not start.
        """
        java = require_program("java", advice=INSTALL)
        jars = kafka_jars(tools_dir.resolve())
        for attempt in range(1, START_ATTEMPTS + 1):
            home = work_dir.resolve() / f"start-{attempt}"
            home.mkdir(parents=True)
            try:
                return cls._start_once(java, jars, home)
            except ServerError:
                if attempt == START_ATTEMPTS or not _port_was_taken(home / LOG):
                    raise
        raise AssertionError("unreachable")

    @classmethod
    def _start_once(cls, java: str, jars: Path, home: Path) -> Self:
        broker_port, controller_port = free_ports(2)
        data, config, cluster_id = home / "data", home / "server.properties", _cluster_id()
        config.write_text(
            PROPERTIES.format(
                host=LOOPBACK, broker_port=broker_port, controller_port=controller_port, data=data
            )
        )
        command = [java, "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
        _format(command, config, cluster_id)
        process = ServerProcess(
            [*command, *_logging("warn"), "kafka.Kafka", str(config)],
            log=home / LOG,
            env=_environment(),
        )
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


def _port_was_taken(log: Path) -> bool:
    return log.exists() and "Address already in use" in log.read_text(errors="replace")


def _cluster_id() -> str:
    """Return a fresh cluster id: 16 bytes in URL-safe base64 whose first character is never a dash."""
    number = uuid.uuid4().int >> 1  # a leading dash would read as an option
    return base64.urlsafe_b64encode(number.to_bytes(16, "big")).decode().rstrip("=")


def _format(command: list[str], config: Path, cluster_id: str) -> None:
    done = subprocess.run(
        [
            *command,
            *_logging("error"),
            "kafka.tools.StorageTool",
            "format",
            "-t",
            cluster_id,
            "-c",
            str(config),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        env=_environment(),
    )
    if done.returncode != 0:
        raise ServerError(
            f"Kafka's storage was not formatted (needs Java 17 or newer):\n{done.stdout}{done.stderr}"
        )


def _logging(level: str) -> list[str]:
    # At "info" a failed start ends in a page about what was shut down, with the cause far above it.
    return [
        f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    ]


def _environment() -> dict[str, str]:
    """Return this process's environment without what would change the JVM's memory or add an agent."""
    return {
        name: value for name, value in os.environ.items() if name not in {"JAVA_TOOL_OPTIONS", "CLASSPATH"}
    }
