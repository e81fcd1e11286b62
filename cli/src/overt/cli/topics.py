"""`overt topics`: the topics as code, and who may use them, put onto a real Kafka and compared with it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from overt.cli.progress import say
from overt.contracts.access import access
from overt.contracts.topic_specs import topic_specs
from overt.runtime.kafka_acls import Acl, acl_drift, acls_there, mend_acls
from overt.runtime.kafka_admin import ClusterAdmin, TopicSpec
from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.kafka_topics import (
    mend_topics,
    node_count,
    replicated,
    topic_drifts,
    topic_states,
)

PASSWORD = "OVERT_KAFKA_PASSWORD"  # noqa: S105 - the variable's name
DRIFTED = 1

topics_app = typer.Typer(
    no_args_is_help=True, help="The topics on Apache Kafka and who may use them: apply, or check for drift."
)

Kafka = Annotated[
    str,
    typer.Option(
        help="Addresses, host:port, several with commas between.",
        envvar="OVERT_KAFKA_BOOTSTRAP",
        show_envvar=True,
    ),
]
Username = Annotated[
    str | None,
    typer.Option(
        help="Administrator at Kafka (SASL_SSL, SCRAM-SHA-512); without one the connection is plain.",
        envvar="OVERT_KAFKA_USERNAME",
        show_envvar=True,
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        help=f"File with that user's password; or set {PASSWORD}.", exists=True, dir_okay=False, readable=True
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        help="PEM file that signs the brokers' certificates; without it the system's authorities do.",
        envvar="OVERT_KAFKA_CA_FILE",
        show_envvar=True,
        exists=True,
        dir_okay=False,
    ),
]
Replication = Annotated[
    int | None,
    typer.Option(
        "--replication-factor",
        min=1,
        help="Copies of each partition; min.insync.replicas is one less. Default: 3, or 1 on a single node.",
    ),
]
Acls = Annotated[
    bool, typer.Option("--acls", help="Also the access rules: each service its own topics only.")
]
Readers = Annotated[
    list[str] | None,
    typer.Option(
        "--reader",
        help="With --acls: a user outside Overt who may read alerts.v1, in the group of its name. May repeat.",
    ),
]


@topics_app.command(
    epilog="Examples:  overt topics apply --kafka 127.0.0.1:9092   |   overt topics apply --kafka "
    "kafka:9093 --username operator --password-file secret --ca-file ca.pem --acls --reader control-room"
)
def apply(  # noqa: PLR0913 - one parameter an option
    *,
    kafka: Kafka,
    username: Username = None,
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    replication: Replication = None,
    add_partitions: Annotated[
        bool,
        typer.Option(
            "--add-partitions",
            help="Also widen topics. A key may move to another partition and its records overtake each "
            "other: do it while nothing runs.",
        ),
    ] = False,
    acls: Acls = False,
    reader: Readers = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="With --acls: also take away access that the table does not give.")
    ] = False,
) -> None:
    """Make what is missing, alter what differs, say each thing done. May be repeated.

    Ends with 1 and names what is left to do by hand, with 2 when Kafka is out of reach.
    """
    cluster = _Cluster(kafka, _login(username, password_file, ca_file))
    specs = cluster.specs(replication)
    wanted = _wanted(reader) if acls else None
    done = mend_topics(cluster.admin, kafka, specs, add_partitions=add_partitions)
    if wanted is not None:
        done += mend_acls(cluster.admin, kafka, wanted, prune=prune)
    for line in done:
        say(line)
    _finish(cluster, specs, wanted)


@topics_app.command(
    epilog="Examples:  overt topics check --kafka 127.0.0.1:9092   |   "
    "overt topics check --kafka kafka:9093 --username operator --password-file secret --ca-file ca.pem --acls"
)
def check(  # noqa: PLR0913 - one parameter an option
    *,
    kafka: Kafka,
    username: Username = None,
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    replication: Replication = None,
    acls: Acls = False,
    reader: Readers = None,
) -> None:
    """Compare and change nothing. 0: as the table says; 1: each difference named; 2: Kafka is out of reach."""
    cluster = _Cluster(kafka, _login(username, password_file, ca_file))
    _finish(cluster, cluster.specs(replication), _wanted(reader) if acls else None)


class _Cluster:
    """The cluster a command works on, compared with what the table says."""

    def __init__(self, bootstrap: str, login: KafkaLogin | None) -> None:
        self._bootstrap = bootstrap
        self.admin = ClusterAdmin(bootstrap, login)

    def specs(self, replication: int | None) -> list[TopicSpec]:
        """Every topic that should be there, with as many copies as asked for or as the cluster can hold."""
        return replicated(topic_specs(), node_count(self.admin, self._bootstrap), replication)

    def differences(self, specs: Sequence[TopicSpec], wanted: Sequence[Acl] | None) -> list[str]:
        """Each difference in a line; access is looked at when it is given."""
        there = topic_states(self.admin, self._bootstrap, [spec.name for spec in specs])
        lines = [str(drift) for drift in topic_drifts(specs, there)]
        if wanted is None:
            return lines
        return lines + acl_drift(wanted, acls_there(self.admin, self._bootstrap)).lines()


def _wanted(readers: Sequence[str] | None) -> Sequence[Acl]:
    try:
        return access(readers or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--reader") from None


def _finish(cluster: _Cluster, specs: Sequence[TopicSpec], wanted: Sequence[Acl] | None) -> None:
    """Name every difference, and end with 1 if there is one."""
    lines = cluster.differences(specs, wanted)
    for line in lines:
        say(f"differs: {line}")
    if lines:
        raise typer.Exit(DRIFTED)
    say(f"as the table says: {len(specs)} topics" + ("" if wanted is None else ", and who may use them"))


def _login(username: str | None, password_file: Path | None, ca_file: Path | None) -> KafkaLogin | None:
    password = os.environ.get(PASSWORD) if password_file is None else password_file.read_text().strip()
    if username is None and (password or ca_file):
        raise typer.BadParameter("a password or a CA file needs a user", param_hint="--username")
    if username is None:
        return None
    if not password:
        raise typer.BadParameter(
            f"{username} needs a password: --password-file, or {PASSWORD}", param_hint="--username"
        )
    return KafkaLogin(username, SecretStr(password), ca_file)
