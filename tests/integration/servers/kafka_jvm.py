"""Runs Apache Kafka's own programs: what a start of one node and of several have in common."""

import base64
import os
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .process import ServerError, ServerProcess

START_TIMEOUT_S = 60.0

COMMON = """
# Topics are made by us, with their partitions and retention, never by a typing error.
auto.create.topics.enable=false

# Retention is looked at every second, from the start, so that a test can wait for it.
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.segment.delete.delay.ms=1000
log.cleaner.backoff.ms=1000

# As many copies as there are nodes for, up to three; one may be lost.
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
"""


def common_properties(*, nodes: int) -> str:
    """Return the settings that every node of a cluster of `nodes` has."""
    copies = min(3, nodes)
    return COMMON.format(copies=copies, in_sync=max(1, copies - 1))


def new_cluster_id() -> str:
    """Return a fresh cluster id: 16 bytes in URL-safe base64 whose first character is never a dash."""
    number = uuid.uuid4().int >> 1  # a leading dash would read as an option
    return base64.urlsafe_b64encode(number.to_bytes(16, "big")).decode().rstrip("=")


def port_was_taken(log: Path) -> bool:
    """Whether a node ended because somebody else took its port first."""
    return log.exists() and "Address already in use" in log.read_text(errors="replace")


@dataclass(frozen=True, slots=True)
class Jvm:
    """A Java program with Kafka's jars and a bound on its heap."""

    java: str
    jars: Path
    heap_mib: int

    def format(self, config: Path, cluster_id: str, scram: Sequence[str] = ()) -> None:
        """Write an empty storage, with the credentials `scram` in it. Raises ServerError."""
        words = ["format", "-t", cluster_id, "-c", str(config)]
        words += [word for credential in scram for word in ("--add-scram", credential)]
        # From a file, not on the command line: every user of the machine can read that.
        arguments = config.with_name("format.arguments")
        arguments.touch(mode=0o600)
        arguments.write_text("\n".join(words))
        done = subprocess.run(
            [*self._command("error"), "kafka.tools.StorageTool", f"@{arguments}"],
            check=False,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            env=_environment(),
        )
        arguments.unlink()
        if done.returncode != 0:
            raise ServerError(
                f"Kafka's storage was not formatted (needs Java 17 or newer):\n{done.stdout}{done.stderr}"
            )

    def broker(self, config: Path, *, log: Path) -> ServerProcess:
        """Start a node whose settings are `config`; it is not ready yet."""
        return ServerProcess(
            [*self._command("warn"), "kafka.Kafka", str(config)], log=log, env=_environment()
        )

    def _command(self, level: str) -> list[str]:
        return [
            *(self.java, f"-Xmx{self.heap_mib}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-cp", f"{self.jars}/*"),
            # At "info" a failed start ends in a page about what was shut down, with the cause far above it.
            f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        ]


def _environment() -> dict[str, str]:
    """Return this process's environment without what would change the JVM's memory or add an agent."""
    return {
        name: value for name, value in os.environ.items() if name not in {"JAVA_TOOL_OPTIONS", "CLASSPATH"}
    }
