"""How the access rules of a cluster are compared with the wanted ones, without a cluster."""

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from overt.runtime.kafka_acls import Acl, acl_drift

WANTED = [
    Acl("detect", "topic", "frames.v1", "read"),
    Acl("detect", "topic", "faces.v1", "write"),
    Acl("detect", "group", "detect", "read"),
]


def binding(
    principal: str,
    kind: str,
    name: str,
    operation: str = "READ",
    *,
    prefixed: bool = False,
    host: str = "*",
    permission: AclPermissionType = AclPermissionType.ALLOW,
) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    return AclBinding(ResourceType[kind], name, pattern, principal, host, AclOperation[operation], permission)


def there(*more: AclBinding) -> list[AclBinding]:
    return [*(acl.binding() for acl in WANTED), *more]


def test_what_is_wanted_and_there_is_no_drift() -> None:
    assert not acl_drift(WANTED, there())


def test_what_is_wanted_and_not_there_is_missing() -> None:
    assert acl_drift(WANTED, there()[1:]).lines() == [
        "access is missing: detect may read topic frames.v1",
    ]


@pytest.mark.parametrize(
    ("surplus", "words"),
    [
        (binding("User:detect", "TOPIC", "else"), "detect may read topic else"),
        (
            binding("User:detect", "BROKER", "kafka-cluster", "ALTER"),
            "detect may alter cluster kafka-cluster",
        ),
        (binding("User:x", "TOPIC", "frames.v1"), "x may read topic frames.v1"),
        (binding("User:x", "GROUP", "detect"), "x may read group detect"),
        (binding("User:x", "TOPIC", "*", "ALL"), "x may all topic *"),
        (
            binding("User:x", "TOPIC", "fra", prefixed=True),
            "x may read topic that begins with fra",
        ),
        (binding("User:*", "TOPIC", "else", "WRITE"), "anybody may write topic else"),
        (
            binding("User:detect", "TOPIC", "frames.v1", host="10.0.0.1"),
            "detect may read topic frames.v1 (from 10.0.0.1)",
        ),
        (
            binding("User:detect", "TOPIC", "frames.v1", permission=AclPermissionType.DENY),
            "detect may not read topic frames.v1",
        ),
    ],
)
def test_what_reaches_our_topics_groups_or_users_beyond_the_table_is_surplus(
    surplus: AclBinding, words: str
) -> None:
    assert acl_drift(WANTED, there(surplus)).lines() == [f"access is surplus: {words}"]


@pytest.mark.parametrize(
    "foreign",
    [
        binding("User:x", "TOPIC", "their-own"),
        binding("User:x", "GROUP", "frames.v1"),
        binding("User:x", "GROUP", "their", prefixed=True),
        binding("User:x", "BROKER", "kafka-cluster", "ALTER"),
    ],
)
def test_what_others_may_do_elsewhere_is_not_ours(foreign: AclBinding) -> None:
    assert not acl_drift(WANTED, there(foreign))
