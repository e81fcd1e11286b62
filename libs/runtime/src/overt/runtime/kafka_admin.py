"""What is asked of a Kafka cluster as a whole: whether it can be reached, which topics it has, making some."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from overt.runtime.broker import BrokerError, LoginRefused
from overt.runtime.kafka_security import KafkaLogin

log = structlog.get_logger()

REACH_TIMEOUT_S = 15.0
# Asked again after so long, then twice as long: in between it shows whether the login was refused.
FIRST_ASK_S = 1.0
BROKER_DEFAULT = -1  # KIP-464: the broker's default.replication.factor


class Lists(Protocol):
    """Any of confluent_kafka's clients."""

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        """Return the cluster's metadata."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic that should be there. `config` holds Kafka's own topic settings.

    `replication`: on how many nodes each partition stands; BROKER_DEFAULT leaves it to the cluster.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = BROKER_DEFAULT


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """A topic that is there. `led`: whether every partition has a leader, so that it can be used.

    `replication`: on how many nodes its worst partition stands.
    """

    partitions: int
    led: bool
    replication: int


class ClusterAdmin(AdminClient):
    """A client for what concerns the cluster as a whole; nothing is connected before it is used.

    As a context it ends its connections with it; else they stay until it is collected. Without `login` the
    connection is plain. It must live until the futures it gave are done.
    """

    def __init__(self, bootstrap: str, login: KafkaLogin | None = None) -> None:
        self._reason = self._refusal = ""
        self._user = "" if login is None else login.username
        credentials = {} if login is None else login.client_config()
        # The types that the client declares leave callbacks out.
        config: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0, "error_cb": self._heard}
        super().__init__(config | credentials)

    def reason(self) -> str:
        """Return what the client last reported, empty if nothing: a certificate that can't be checked, say."""
        self.poll(0)
        return self._reason

    def require_login(self, bootstrap: str) -> None:
        """Raise LoginRefused if the client has reported that its login was refused."""
        self.poll(0)
        if self._refusal:
            raise LoginRefused(
                f"Kafka at {bootstrap} refused the login of user {self._user} ({self._refusal})"
            )

    def _heard(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - librdkafka's own code
            self._refusal = error.str()
        # That all brokers are down is the last of its reports and the least of its reasons.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's own code
            self._reason = f"{error.name()}: {error.str()}"


def topics_of(client: Lists, bootstrap: str, timeout_s: float = REACH_TIMEOUT_S) -> Mapping[str, TopicSeen]:
    """Return every topic of the cluster. Raises BrokerError when it can't be reached in `timeout_s`.

    A ClusterAdmin whose login is refused raises LoginRefused, sooner. Asking for all of them can't make one:
    asking for one by name can.
    """
    topics = _metadata(client, bootstrap, timeout_s).topics
    return {
        name: TopicSeen(
            len(topic.partitions),
            all(part.leader >= 0 for part in topic.partitions.values()),
            min((len(part.replicas) for part in topic.partitions.values()), default=0),
        )
        for name, topic in topics.items()
        if topic.error is None
    }


def _metadata(client: Lists, bootstrap: str, timeout_s: float) -> Any:
    left_s, ask_s = timeout_s, FIRST_ASK_S
    while True:
        ask_s = min(ask_s, left_s)
        try:
            return client.list_topics(timeout=ask_s)
        except KafkaException as error:
            reason = error.args[0].name()
        if isinstance(client, ClusterAdmin):
            client.require_login(bootstrap)
            reason = client.reason() or reason
        left_s -= ask_s
        if left_s <= 0:
            raise BrokerError(f"cannot reach Kafka at {bootstrap} within {timeout_s:g} s ({reason})")
        ask_s *= 2


def require_topics(client: Lists, bootstrap: str, names: Iterable[str]) -> Mapping[str, TopicSeen]:
    """Return the topics called `names`. Raises BrokerError that names the ones that are missing."""
    there = topics_of(client, bootstrap)
    missing = sorted(name for name in names if name not in there)
    if missing:
        raise BrokerError(f"Kafka at {bootstrap} has no topic {', '.join(missing)}")
    return {name: there[name] for name in names}


def create_topics(
    bootstrap: str,
    specs: Sequence[TopicSpec],
    *,
    login: KafkaLogin | None = None,
    timeout_s: float = 30.0,
) -> Sequence[str]:
    """Make the topics that are missing, return their names once every partition has a leader.

    One that is there is left as it is, and a line is logged when its partitions differ: they can't be
    taken back without losing the order of its keys. Raises BrokerError.
    """
    with ClusterAdmin(bootstrap, login) as admin:
        there = topics_of(admin, bootstrap)
        for spec in specs:
            if spec.name in there and there[spec.name].partitions != spec.partitions:
                log.warning(
                    "topic has other partitions than it should",
                    topic=spec.name,
                    partitions=there[spec.name].partitions,
                    wanted=spec.partitions,
                )
        missing = [spec for spec in specs if spec.name not in there]
        make_topics(admin, bootstrap, missing, timeout_s=timeout_s)
        return [spec.name for spec in missing]


def make_topics(
    admin: AdminClient, bootstrap: str, specs: Sequence[TopicSpec], *, timeout_s: float = 30.0
) -> None:
    """Make `specs` and wait until every partition has a leader.

    One that somebody else made meanwhile is fine. Raises BrokerError.
    """
    if not specs:
        return
    new = [NewTopic(s.name, s.partitions, s.replication, config=dict(s.config)) for s in specs]
    for name, future in admin.create_topics(new, operation_timeout=timeout_s).items():
        _finish(name, future)
    _wait_for_leaders(admin, bootstrap, specs, timeout_s)


def _finish(name: str, future: "Future[None]") -> None:
    try:
        future.result()
    except KafkaException as error:
        kafka_error: KafkaError = error.args[0]
        if kafka_error.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else made it meanwhile: good
            raise BrokerError(f"topic {name} was not made: {kafka_error.str()}") from None


def _wait_for_leaders(
    admin: AdminClient, bootstrap: str, specs: Sequence[TopicSpec], timeout_s: float
) -> None:
    deadline_s = monotonic() + timeout_s
    while monotonic() < deadline_s:
        there = topics_of(admin, bootstrap)
        if all(spec.name in there and there[spec.name].led for spec in specs):
            return
        admin.poll(0.05)
    raise BrokerError(f"new topics have no leader after {timeout_s:g} s")
