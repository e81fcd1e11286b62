"""Who may do what at Kafka, from the topics table: each service no more than its work needs."""

from collections.abc import Iterable, Sequence

from overt.contracts.topics import ALERTS, CHANGELOGS, SERVICES, TOPICS
from overt.runtime.kafka_acls import Acl

# The administrator of topics and ACLs: a super user, so no ACL names it.
OPERATOR = "operator"


def access_of(service: str) -> Sequence[Acl]:
    """Return what `service` may do, under the user and with the consumer group of its own name.

    It reads and writes where the table says, parks what it can't read in the dead letters of its sources,
    and has its group when it reads anything: a compacted table is read without joining one, but the client
    asks for its group's coordinator all the same. Idempotent producers need nothing more: writing to any
    topic suffices since Kafka 3.0 (KIP-679).
    Raises ValueError for a name that is no service.
    """
    if service not in SERVICES:
        raise ValueError(f"no service is called {service!r}")
    reads = {topic for topic in TOPICS.values() if service in topic.readers}
    sources = {topic for topic in reads if not topic.is_table}
    states = {changelog.name for changelog in CHANGELOGS if changelog.owner == service}
    writes = {topic.name for topic in TOPICS.values() if service in topic.writers}
    readable = {topic.name for topic in reads} | states
    writable = writes | {topic.dead for topic in sources} | states
    return sorted(
        [
            *(Acl(service, "topic", name, "read") for name in readable),
            *(Acl(service, "topic", name, "write") for name in writable),
            *([Acl(service, "group", service, "read")] if readable else []),
        ]
    )


def access(alert_readers: Iterable[str] = ()) -> Sequence[Acl]:
    """Return what every service may do, and what users outside Overt may who read `alerts.v1`.

    Those commit in the consumer group of their own name. Raises ValueError for one with a service's name.
    """
    outside = sorted(set(alert_readers))
    if taken := [name for name in outside if name in (*SERVICES, OPERATOR)]:
        raise ValueError(
            f"a reader of {ALERTS.name} can't be called {', '.join(taken)}: that is a user of Overt"
        )
    return [
        *(acl for service in SERVICES for acl in access_of(service)),
        *(Acl(name, "topic", ALERTS.name, "read") for name in outside),
        *(Acl(name, "group", name, "read") for name in outside),
    ]
