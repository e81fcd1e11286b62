"""Topics as code on a real cluster: what differs from the specifications, and mending what may be mended."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from time import monotonic
from typing import Literal, TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
)

from overt.runtime.broker import BrokerError
from overt.runtime.kafka_admin import REACH_TIMEOUT_S, TopicSeen, TopicSpec, make_topics, topics_of

MIN_INSYNC = "min.insync.replicas"
USUAL_REPLICATION = 3

Kind = Literal["missing", "partitions", "replication", "config", "surplus config"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TopicDrift:
    """One way in which a topic is not as specified. `setting` names a config, empty for other kinds."""

    topic: str
    kind: Kind
    found: str = ""
    wanted: str = ""
    setting: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        match self.kind:
            case "missing":
                return f"{self.topic}: is missing"
            case "config":
                return f"{self.topic}: {self.setting} is {self.found}, should be {self.wanted}"
            case "surplus config":
                return f"{self.topic}: {self.setting} is set to {self.found}, should not be set"
            case _:
                return f"{self.topic}: {self.kind} is {self.found}, should be {self.wanted}"


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it stands: `config` holds every setting, `own` the names of those set on the topic itself."""

    seen: TopicSeen
    config: Mapping[str, str]
    own: frozenset[str]


def replicated(specs: Sequence[TopicSpec], nodes: int, replication: int | None = None) -> list[TopicSpec]:
    """Return `specs` with a replication factor and `min.insync.replicas` one below it.

    Without `replication`: 1 on a cluster of one node, else 3. With 3 and 2 any one node may be lost without
    losing or refusing a confirmed record. Raises BrokerError for more copies than `nodes`.
    """
    wanted = replication or (1 if nodes == 1 else USUAL_REPLICATION)
    if wanted > nodes:
        raise BrokerError(f"{wanted} copies of each partition need as many nodes: this cluster has {nodes}")
    insync = {MIN_INSYNC: str(max(1, wanted - 1))}
    return [replace(spec, replication=wanted, config={**spec.config, **insync}) for spec in specs]


def topic_drifts(specs: Sequence[TopicSpec], there: Mapping[str, TopicState]) -> list[TopicDrift]:
    """Return how `there` differs from `specs`, in their order. Topics that no spec names are not looked at."""
    drifts: list[TopicDrift] = []
    for spec in specs:
        if spec.name in there:
            drifts += _drifts_of(spec, there[spec.name])
        else:
            drifts.append(TopicDrift(spec.name, "missing"))
    return drifts


def _drifts_of(spec: TopicSpec, state: TopicState) -> list[TopicDrift]:
    numbers: tuple[tuple[Kind, int, int], ...] = (
        ("partitions", state.seen.partitions, spec.partitions),
        ("replication", state.seen.replication, spec.replication),
    )
    return [
        *(
            TopicDrift(spec.name, kind, str(is_), str(should))
            for kind, is_, should in numbers
            if is_ != should
        ),
        *(
            TopicDrift(spec.name, "config", state.config.get(name, "not set"), wanted, name)
            for name, wanted in sorted(spec.config.items())
            if state.config.get(name) != wanted
        ),
        *(
            TopicDrift(spec.name, "surplus config", state.config[name], setting=name)
            for name in sorted(state.own - spec.config.keys())
        ),
    ]


def node_count(admin: AdminClient, bootstrap: str) -> int:
    """Return how many nodes the cluster has now. Raises BrokerError."""
    topics_of(admin, bootstrap)  # says in one line that the cluster is out of reach
    return len(answer(admin.describe_cluster(request_timeout=REACH_TIMEOUT_S), "the cluster's nodes").nodes)


def topic_states(admin: AdminClient, bootstrap: str, names: Sequence[str]) -> Mapping[str, TopicState]:
    """Return those of the topics `names` that are there. Raises BrokerError."""
    seen = topics_of(admin, bootstrap)
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names if name in seen]
    if not resources:
        return {}
    states = {}
    for resource, future in admin.describe_configs(resources, request_timeout=REACH_TIMEOUT_S).items():
        entries: dict[str, ConfigEntry] = answer(future, f"settings of {resource.name}")
        states[resource.name] = TopicState(
            seen[resource.name],
            {name: entry.value or "" for name, entry in entries.items()},
            frozenset(name for name, entry in entries.items() if _is_own(entry)),
        )
    return states


def mendable(drift: TopicDrift, *, add_partitions: bool) -> bool:
    """Whether `mend_topics` does away with `drift`.

    Never fewer partitions: that can't be. More of them only when asked for: a key moves to another one, so
    its records may overtake each other. Copies are not moved between nodes: that is the operator's
    reassignment.
    """
    if drift.kind == "partitions":
        return add_partitions and int(drift.found) < int(drift.wanted)
    return drift.kind != "replication"


def mend_topics(
    admin: AdminClient, bootstrap: str, specs: Sequence[TopicSpec], *, add_partitions: bool
) -> list[str]:
    """Make, alter and, with `add_partitions`, widen what differs from `specs`, as far as it is `mendable`.

    Returns a line for each thing done, once the cluster shows it. Raises BrokerError.
    """
    names = [spec.name for spec in specs]

    def mendable_now() -> list[TopicDrift]:
        drifts = topic_drifts(specs, topic_states(admin, bootstrap, names))
        return [drift for drift in drifts if mendable(drift, add_partitions=add_partitions)]

    drifts = mendable_now()
    absent = {drift.topic for drift in drifts if drift.kind == "missing"}
    missing = [spec for spec in specs if spec.name in absent]
    make_topics(admin, bootstrap, missing)
    done = [
        f"{spec.name}: made, {spec.partitions} partitions, replication {spec.replication}" for spec in missing
    ]
    done += _widen(admin, [drift for drift in drifts if drift.kind == "partitions"])
    done += _alter(admin, [drift for drift in drifts if drift.setting])
    if done:
        wait_until_shown(admin, lambda: not mendable_now())
    return done


def wait_until_shown(admin: AdminClient, shown: Callable[[], bool]) -> None:
    """Wait until `shown()`: what a controller confirmed, other nodes tell some moments later.

    Raises BrokerError.
    """
    deadline_s = monotonic() + REACH_TIMEOUT_S
    while not shown():
        if monotonic() > deadline_s:
            raise BrokerError(f"the cluster confirmed changes and shows others after {REACH_TIMEOUT_S:g} s")
        admin.poll(0.05)


def _widen(admin: AdminClient, drifts: Sequence[TopicDrift]) -> list[str]:
    if not drifts:
        return []
    new = [NewPartitions(drift.topic, int(drift.wanted)) for drift in drifts]
    for topic, future in admin.create_partitions(new, request_timeout=REACH_TIMEOUT_S).items():
        answer(future, f"more partitions of {topic}")
    return [f"{drift.topic}: partitions {drift.found} -> {drift.wanted}" for drift in drifts]


def _alter(admin: AdminClient, drifts: Sequence[TopicDrift]) -> list[str]:
    """Set or unset the settings that `drifts` name, each topic's in one request."""
    if not drifts:
        return []
    resources: dict[str, ConfigResource] = {}
    for drift in drifts:
        kind = AlterConfigOpType.SET if drift.kind == "config" else AlterConfigOpType.DELETE
        resource = resources.setdefault(drift.topic, ConfigResource(ConfigResource.Type.TOPIC, drift.topic))
        resource.add_incremental_config(
            ConfigEntry(drift.setting, drift.wanted or None, incremental_operation=kind)
        )
    futures = admin.incremental_alter_configs(list(resources.values()), request_timeout=REACH_TIMEOUT_S)
    for resource, future in futures.items():
        answer(future, f"settings of {resource.name}")
    return [
        f"{drift.topic}: {drift.setting} {drift.found} -> {drift.wanted or 'the default'}" for drift in drifts
    ]


def _is_own(entry: ConfigEntry) -> bool:
    # The answer holds the number, not the enumeration.
    return ConfigSource(entry.source) == ConfigSource.DYNAMIC_TOPIC_CONFIG


def answer(future: "Future[T]", what: str) -> T:
    """Return what the cluster answered. Raises BrokerError that says `what` was refused, and why."""
    try:
        return future.result()
    except KafkaException as error:
        raise BrokerError(f"{what}: {error.args[0].str()}") from None
