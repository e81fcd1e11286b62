"""Who may do what on a real cluster: the ACLs it has, what differs from the wanted ones, and mending it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from overt.runtime.kafka_admin import REACH_TIMEOUT_S, topics_of
from overt.runtime.kafka_topics import answer, wait_until_shown

ANYBODY = "User:*"
EVERYTHING = "*"


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """User `user` may `operation` the topic, or the consumer group, that is called exactly `name`.

    Reading and writing imply describing (Kafka's own rule).
    """

    user: str
    resource: Literal["topic", "group"]
    name: str
    operation: Literal["read", "write"]

    def __str__(self) -> str:
        """Say it in words."""
        return _in_words(self.binding())

    def binding(self) -> AclBinding:
        """Return it as Kafka's client writes it."""
        return AclBinding(
            ResourceType[self.resource.upper()],
            self.name,
            ResourcePatternType.LITERAL,
            f"User:{self.user}",
            "*",
            AclOperation[self.operation.upper()],
            AclPermissionType.ALLOW,
        )


@dataclass(frozen=True, slots=True)
class AclDrift:
    """What lacks, and what is there beyond the wanted ACLs, each in a fixed order."""

    missing: tuple[AclBinding, ...]
    surplus: tuple[AclBinding, ...]

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.missing or self.surplus)

    def lines(self) -> list[str]:
        """Say each difference in one line."""
        return [
            *(f"access is missing: {_in_words(binding)}" for binding in self.missing),
            *(f"access is surplus: {_in_words(binding)}" for binding in self.surplus),
        ]


def acl_drift(wanted: Iterable[Acl], found: Iterable[AclBinding]) -> AclDrift:
    """Return how `found` differs from `wanted`.

    Surplus is every ACL that gives, to anybody, something on a topic or group that `wanted` names, or that
    gives one of its users anything else. ACLs of other users on other things belong to somebody else.
    """
    acls = set(wanted)
    bindings, there = {acl.binding() for acl in acls}, set(found)
    users = {f"User:{acl.user}" for acl in acls} | {ANYBODY}
    names = {(ResourceType[acl.resource.upper()], acl.name) for acl in acls}
    surplus = [each for each in there - bindings if each.principal in users or _touches(each, names)]
    return AclDrift(tuple(sorted(bindings - there, key=_in_words)), tuple(sorted(surplus, key=_in_words)))


def _touches(binding: AclBinding, names: set[tuple[ResourceType, str]]) -> bool:
    if binding.resource_pattern_type == ResourcePatternType.PREFIXED:
        return any(kind == binding.restype and name.startswith(binding.name) for kind, name in names)
    if binding.name == EVERYTHING:
        return any(kind == binding.restype for kind, _ in names)
    return (binding.restype, binding.name) in names


def acls_there(admin: AdminClient, bootstrap: str) -> Sequence[AclBinding]:
    """Return every ACL of the cluster. Raises BrokerError, also for a cluster without an authorizer."""
    topics_of(admin, bootstrap)  # says in one line that the cluster is out of reach
    every = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type] # a filter's None matches any
        ResourcePatternType.ANY,
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    return list(answer(admin.describe_acls(every, request_timeout=REACH_TIMEOUT_S), "access rules"))


def mend_acls(admin: AdminClient, bootstrap: str, wanted: Sequence[Acl], *, prune: bool) -> list[str]:
    """Add what is missing of `wanted` and, with `prune`, remove what is surplus.

    Returns a line for each thing done, once the cluster shows it. Raises BrokerError.
    """

    def drift_now() -> AclDrift:
        drift = acl_drift(wanted, acls_there(admin, bootstrap))
        return drift if prune else AclDrift(drift.missing, ())

    drift = drift_now()
    if drift.missing:
        futures = admin.create_acls(list(drift.missing), request_timeout=REACH_TIMEOUT_S)
        for binding, future in futures.items():
            answer(future, f"access for {_in_words(binding)}")
    if drift.surplus:
        filters = [_exactly(binding) for binding in drift.surplus]
        for each, removed in admin.delete_acls(filters, request_timeout=REACH_TIMEOUT_S).items():
            answer(removed, f"access of {each.principal}")
    if drift:
        wait_until_shown(admin, lambda: not drift_now())
    return [
        *(f"access given: {_in_words(binding)}" for binding in drift.missing),
        *(f"access taken: {_in_words(binding)}" for binding in drift.surplus),
    ]


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _in_words(binding: AclBinding) -> str:
    """For instance `match may write topic matches.v1`; what is not plain about it follows in brackets."""
    # The client calls the cluster a broker, since the two share a number.
    is_cluster = ResourceType(binding.restype) == ResourceType.BROKER
    kind = "cluster" if is_cluster else ResourceType(binding.restype).name.lower()
    pattern = ResourcePatternType(binding.resource_pattern_type)
    operation, permission = AclOperation(binding.operation), AclPermissionType(binding.permission_type)
    who = binding.principal.removeprefix("User:") if binding.principal != ANYBODY else "anybody"
    may = "may" if permission == AclPermissionType.ALLOW else "may not"
    beginning = "that begins with " if pattern == ResourcePatternType.PREFIXED else ""
    host = "" if binding.host == EVERYTHING else f" (from {binding.host})"
    return f"{who} {may} {operation.name.lower()} {kind} {beginning}{binding.name}{host}"
