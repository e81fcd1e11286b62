"""Starts an Apache Kafka of one or three nodes that tests can break: with logins and ACLs, or plain."""

import secrets
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import ClusterMetadata
from pydantic import SecretStr

from overt.contracts.access import OPERATOR
from overt.contracts.topics import SERVICES
from overt.runtime.kafka_admin import ClusterAdmin
from overt.runtime.kafka_security import KafkaLogin

from .certificates import NODE_NAME, Certificates, make_certificates
from .kafka_jars import INSTALL, kafka_jars
from .kafka_jvm import Jvm, common_properties, new_cluster_id, port_was_taken
from .process import LOOPBACK, ServerError, ServerProcess, lasting_ports, require_program

START_TIMEOUT_S = 90.0
START_ATTEMPTS = 3
HEAP_MIB = 256
USERS = (*SERVICES, OPERATOR)

PLACES = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=CLIENT://{host}:{client_port},NODES://{host}:{nodes_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENT://{host}:{client_port},NODES://{host}:{nodes_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=NODES
log.dirs={data}

# A node that was killed is missed within seconds: a test waits for it.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
replica.lag.time.max.ms=6000
"""
PLAIN = """
listener.security.protocol.map=CLIENT:PLAINTEXT,NODES:PLAINTEXT,CONTROLLER:PLAINTEXT
"""
# Clients log in; nodes show each other the one certificate that the authority ever signed.
SECURED = """
listener.security.protocol.map=CLIENT:SASL_SSL,NODES:SSL,CONTROLLER:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={node}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.nodes.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{operator};User:CN={node_name}
"""


@dataclass(slots=True)
class _Node:
    home: Path
    ports: Sequence[int]  # for clients, for the other nodes, for the controllers
    process: ServerProcess | None = None

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.ports[0]}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    @property
    def log(self) -> Path:
        return self.home / "kafka.log"


@dataclass(slots=True)
class KafkaCluster:
    """A running cluster; its nodes are numbered from 1.

    `bootstrap` names every node. `login(user)` is what a client of a secured cluster needs: every service
    has a user of its own name, and `operator` is the super user. Nothing is allowed until ACLs say so.
    """

    cluster_id: str
    _jvm: Jvm
    _nodes: Mapping[int, _Node]
    _certificates: Certificates | None
    _passwords: Mapping[str, SecretStr] = field(repr=False)

    @classmethod
    def start(cls, tools_dir: Path, work_dir: Path, *, nodes: int = 1, secured: bool = True) -> Self:
        """Start `nodes` with their files in `work_dir`; return once all are in and an admin call answers.

        Raises ServerError: a program is missing, the jars can't be fetched, or they did not start.
        """
        java = require_program("java", advice=INSTALL)
        jvm = Jvm(java, kafka_jars(tools_dir.resolve()), HEAP_MIB)
        for attempt in range(1, START_ATTEMPTS + 1):
            home = work_dir.resolve() / f"start-{attempt}"
            home.mkdir(parents=True)
            cluster = cls._prepare(jvm, home, nodes, secured=secured)
            try:
                cluster._begin()
            except BaseException as error:
                cluster.stop()
                taken = any(port_was_taken(node.log) for node in cluster._nodes.values())
                if isinstance(error, ServerError) and taken and attempt < START_ATTEMPTS:
                    continue
                raise
            return cluster
        raise AssertionError("unreachable")

    @classmethod
    def _prepare(cls, jvm: Jvm, home: Path, count: int, *, secured: bool) -> Self:
        ports = lasting_ports(3 * count)
        nodes = {
            number: _Node(home / f"node-{number}", ports[3 * number - 3 : 3 * number])
            for number in range(1, count + 1)
        }
        certificates = make_certificates(home) if secured else None
        passwords = {user: SecretStr(secrets.token_urlsafe(24)) for user in USERS if secured}
        for number, node in nodes.items():
            node.home.mkdir()
            (node.home / "server.properties").write_text(_properties(number, nodes, certificates))
        return cls(new_cluster_id(), jvm, nodes, certificates, passwords)

    def _begin(self) -> None:
        scram = [
            f"SCRAM-SHA-512=[name={user},password={password.get_secret_value()}]"
            for user, password in self._passwords.items()
        ]
        for node in self._nodes.values():
            self._jvm.format(node.home / "server.properties", self.cluster_id, scram)
        for number in self._nodes:
            self._launch(number)
        self.wait_until(lambda there: len(there.brokers) == len(self._nodes))

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes, alive or not."""
        return ",".join(node.address for node in self._nodes.values())

    @property
    def data_dirs(self) -> tuple[Path, ...]:
        """Where each node keeps its log segments."""
        return tuple(node.home / "data" for node in self._nodes.values())

    @property
    def ca_file(self) -> Path | None:
        """The authority's certificate; None when plain."""
        return None if self._certificates is None else self._certificates.ca

    def login(self, user: str) -> KafkaLogin | None:
        """Return how `user` logs in; None when the cluster is plain."""
        if self._certificates is None:
            return None
        return KafkaLogin(user, self._passwords[user], self._certificates.ca)

    def admin(self) -> ClusterAdmin:
        """Return a client that may do everything; keep it until its futures are done."""
        return ClusterAdmin(self.bootstrap, self.login(OPERATOR))

    def process(self, number: int) -> ServerProcess:
        """Return node `number` as a process; a restart makes another one."""
        process = self._nodes[number].process
        assert process is not None
        return process

    def kill(self, number: int) -> None:
        """End node `number` at once, as a power cut would end its process."""
        self.process(number).stop(signal.SIGKILL)

    def restart(self, number: int) -> None:
        """Start node `number` again on its ports and files, in order if it still runs; return once it is in."""
        self.process(number).stop()
        self._launch(number)
        # Asked of itself: for some seconds the others take the one that was killed for alive.
        self._wait(number, lambda there: number in there.brokers)

    def leader_of(self, topic: str, partition: int) -> int:
        """Return the number of the node that leads `partition`, waiting while there is none."""
        there = self.wait_until(
            lambda seen: topic in seen.topics and seen.topics[topic].partitions[partition].leader > 0
        )
        return int(there.topics[topic].partitions[partition].leader)

    def wait_in_sync(self, topics: Iterable[str]) -> None:
        """Return once every copy of every partition of `topics` has caught up with its leader."""
        names = tuple(topics)
        self.wait_until(
            lambda there: all(
                name in there.topics
                and all(set(p.isrs) == set(p.replicas) for p in there.topics[name].partitions.values())
                for name in names
            )
        )

    def wait_until(self, holds: Callable[[ClusterMetadata], bool]) -> ClusterMetadata:
        """Return what the cluster says of itself once `holds` of it. Raises ServerError if that takes too long."""
        alive = next(number for number, node in self._nodes.items() if node.alive)
        return self._wait(alive, holds)

    def _wait(self, number: int, holds: Callable[[ClusterMetadata], bool]) -> ClusterMetadata:
        """Do as `wait_until`, asking node `number`."""
        seen: list[ClusterMetadata] = []

        def ready() -> bool:
            # A client that stays goes on asking whichever node it met first.
            admin = ClusterAdmin(self._nodes[number].address, self.login(OPERATOR))
            try:
                there = admin.list_topics(timeout=2)
            except KafkaException:
                return False
            seen[:] = [there]
            # Another cluster on a port that was snatched from us would answer with its own id.
            return str(there.cluster_id) == self.cluster_id and holds(there)

        self.process(number).wait_until(ready, timeout_s=START_TIMEOUT_S)
        return seen[0]

    def stop(self) -> None:
        """End every node; their files stay, of no use to another start. Safe to call again."""
        for node in self._nodes.values():
            if node.process is not None:
                # In order they would wait for each other: two of three are no majority to sign off with.
                node.process.stop(*([signal.SIGKILL] if len(self._nodes) > 1 else []))

    def _launch(self, number: int) -> None:
        node = self._nodes[number]
        node.process = self._jvm.broker(node.home / "server.properties", log=node.log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _properties(number: int, nodes: Mapping[int, _Node], certificates: Certificates | None) -> str:
    node = nodes[number]
    places = PLACES.format(
        number=number,
        voters=",".join(f"{each}@{LOOPBACK}:{other.ports[2]}" for each, other in nodes.items()),
        host=LOOPBACK,
        client_port=node.ports[0],
        nodes_port=node.ports[1],
        controller_port=node.ports[2],
        data=node.home / "data",
    )
    security = PLAIN
    if certificates is not None:
        security = SECURED.format(
            node=certificates.node, ca=certificates.ca, operator=OPERATOR, node_name=NODE_NAME
        )
    return places + security + common_properties(nodes=len(nodes))
