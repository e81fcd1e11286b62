"""Makes the Faust application of the stream: its settings, its login and its windowed table."""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import faust
from faust import streams

from overt.alerts.changelog import Marks, WindowKeys
from overt.contracts.topics import ALERT_WINDOWS, MATCHES
from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.process import CannotBegin

GROUP = "alerts"
# The table only spares work, so its windows need not be the fold's. Redelivery comes within minutes.
TABLE_WINDOW_S = 60
TABLE_EXPIRES_S = 3600
# Faust's own name of what its C extension brings; None without it.
C_ITERATOR = "_CStreamIterator"
MAX_MATCH_BYTES = 9_000_000
TUNING: Mapping[str, Any] = {
    "broker_commit_interval": 0.5,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 1.0,
    "broker_rebalance_timeout": 30.0,
    # More than the patience with a database that is away.
    "broker_max_poll_interval": 600.0,
    "broker_max_poll_records": 16,
    # How many matches wait in memory, with their pictures.
    "stream_buffer_maxsize": 16,
    "consumer_max_fetch_size": MAX_MATCH_BYTES,
    "stream_wait_empty": True,
    "store": "memory://",
    "table_standby_replicas": 0,
    # `overt topics apply` makes the topics.
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "web_enabled": False,
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Kafka is and who logs in; `instance_id` as in KafkaBroker."""

    bootstrap: str
    login: KafkaLogin | None = None
    instance_id: str | None = None


def require_manual_acks() -> None:
    """Raise CannotBegin when Faust runs without its C extension.

    Its Python twin acknowledges what a rebalance made it skip, also in a stream that acknowledges by hand:
    a match that was not recorded would be committed.
    """
    if getattr(streams, C_ITERATOR) is None:
        raise CannotBegin(
            "faust runs without its C extension and could lose matches: unset NO_CYTHON, or install a "
            "faust-streaming that was built with it"
        )


def application(cluster: Cluster, folder: str) -> faust.App:
    """Return a Faust that keeps its files in `folder` and has not begun."""
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    brokers = ";".join(f"kafka://{address}" for address in cluster.bootstrap.split(","))
    return faust.App(
        GROUP,
        broker=brokers,
        datadir=folder,
        broker_client_id="overt-alerts",
        broker_credentials=_credentials(cluster.login),
        consumer_group_instance_id=cluster.instance_id and f"{cluster.instance_id}.{GROUP}",
        **TUNING,
    )


def windowed_table(app: faust.App) -> Any:  # Faust types only part of it
    """Return the table of marks by entry and window, over its changelog."""
    # JSON as it is, without a type: the key of a window is a list there, and a type would make it text.
    changelog = app.topic(
        ALERT_WINDOWS.name, key_serializer=WindowKeys(), value_serializer=Marks(), internal=True,
        acks=False, allow_empty=True,
    )  # fmt: skip
    table = app.Table("alert-windows", partitions=MATCHES.partitions, changelog_topic=changelog)
    windows = table.tumbling(TABLE_WINDOW_S, expires=TABLE_EXPIRES_S)
    # Making a window of it gave it a name of Faust's own again, from which nothing would be recovered.
    table.changelog_topic = changelog
    return windows


def _credentials(login: KafkaLogin | None) -> faust.SASLCredentials | None:
    if login is None:
        return None
    return faust.SASLCredentials(
        username=login.username,
        password=login.password.get_secret_value(),
        ssl_context=ssl.create_default_context(cafile=login.ca_file),
        mechanism="SCRAM-SHA-512",
    )
