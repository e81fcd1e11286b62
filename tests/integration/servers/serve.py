"""`make kafka`: runs an Apache Kafka with the topics and access rules of this checkout until Ctrl-C."""

import argparse
import fcntl
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from overt.contracts.access import OPERATOR, access
from overt.contracts.topic_specs import topic_specs
from overt.runtime.kafka_acls import mend_acls
from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.kafka_topics import mend_topics, replicated

from .kafka_cluster import USERS, KafkaCluster
from .process import ServerError

ROOT = Path(__file__).parents[3]
MISUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="make kafka ARGS=", description=__doc__)
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="default 1")
    parser.add_argument("--plain", action="store_true", help="no logins, no encryption, no access rules")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".cache" / "kafka", help="emptied first; default .cache/kafka"
    )
    told = parser.parse_args(arguments)
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            _fresh(told.folder) as folder,
            KafkaCluster.start(
                ROOT / ".tools", folder / "nodes", nodes=told.nodes, secured=not told.plain
            ) as cluster,
        ):
            # Blocked, then waited for: a Ctrl-C between the two is not lost.
            signal.pthread_sigmask(signal.SIG_BLOCK, stop)
            equip(cluster)
            _tell(cluster, folder / "clients")
            signal.sigwait(stop)
    except ServerError as error:
        sys.stderr.write(f"kafka: {error}\n")
        return MISUSED
    except KeyboardInterrupt:  # while it was starting
        return INTERRUPTED
    return 0


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Yield `folder`, empty and nobody else's. Raises ServerError when another run has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(f"{folder} belongs to a Kafka that runs: end it, or give --folder") from None
        for name in ("nodes", "clients"):
            shutil.rmtree(folder / name, ignore_errors=True)
        yield folder


def equip(cluster: KafkaCluster) -> None:
    """Make the topics and, where there are logins, say who may use them."""
    admin, nodes = cluster.admin(), len(cluster.data_dirs)
    mend_topics(admin, cluster.bootstrap, replicated(topic_specs(), nodes), add_partitions=False)
    if cluster.ca_file is not None:
        mend_acls(admin, cluster.bootstrap, access(), prune=False)


def environment(cluster: KafkaCluster, user: str) -> str:
    """Return what a process that logs in as `user` must have in its environment, a variable a line."""
    told = {"OVERT_KAFKA_BOOTSTRAP": cluster.bootstrap, **login_environment(cluster.login(user))}
    return "".join(f"{name}={value}\n" for name, value in told.items())


def login_environment(login: KafkaLogin | None) -> dict[str, str]:
    """Return what a service is told of its login; nothing where there are none."""
    if login is None:
        return {}
    return {
        "OVERT_KAFKA_USERNAME": login.username,
        "OVERT_KAFKA_PASSWORD": login.password.get_secret_value(),
        "OVERT_KAFKA_CA_FILE": str(login.ca_file),
    }


def _tell(cluster: KafkaCluster, clients: Path) -> None:
    clients.mkdir()
    for user in USERS:
        file = clients / f"{user}.env"
        file.touch(mode=0o600)
        file.write_text(environment(cluster, user))
    operator = clients / f"{OPERATOR}.env"
    sys.stdout.write(
        f"Kafka is up at {cluster.bootstrap}, with every topic.\n"
        f"Each service's address and login are in {clients}/<service>.env; the administrator's:\n\n"
        f"  set -a; . {operator}; set +a\n"
        f"  overt topics check{'' if cluster.ca_file is None else ' --acls'}\n\n"
        "Ctrl-C ends it.\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
