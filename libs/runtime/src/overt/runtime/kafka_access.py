"""Asks a cluster, before anything is begun, whether a login may do what a service needs."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation

from overt.runtime.broker import AccessRefused, BrokerError
from overt.runtime.kafka_acls import Acl
from overt.runtime.kafka_admin import REACH_TIMEOUT_S, ClusterAdmin, topics_of
from overt.runtime.kafka_errors import AWAY
from overt.runtime.kafka_security import KafkaLogin

# Whoever joins a group waits for its coordinator anyway, so one that does not answer is not waited for here.
GROUP_TIMEOUT_S = 5.0
REFUSED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})
# A cluster says that there is no such group only to those who may see it.
NOT_TOLD = AWAY | {KafkaError.GROUP_ID_NOT_FOUND}

Rights = frozenset[AclOperation]
EVERY_RIGHT: Rights = frozenset(AclOperation)


def require_access(bootstrap: str, login: KafkaLogin | None, wanted: Sequence[Acl]) -> None:
    """Return if whoever has `login` may do all that `wanted` gives to the user that it names.

    A cluster without access rules lets everybody. Raises AccessRefused, which names everything that is
    refused; LoginRefused; BrokerError for a topic that does not exist or a cluster out of reach.
    """
    with ClusterAdmin(bootstrap, login) as admin:
        topics_of(admin, bootstrap)  # says in one line that the cluster is out of reach, or the login refused
        rights = {
            asked: _rights(answer, bootstrap, asked[1]) for asked, answer in _answers(admin, wanted).items()
        }
    refused = [acl for acl in wanted if AclOperation[acl.operation.upper()] not in rights[_asked(acl)]]
    if refused:
        who = "whoever does not log in" if login is None else f"user {login.username}"
        what = ", ".join(f"{acl.operation} {acl.resource} {acl.name}" for acl in refused)
        raise AccessRefused(f"Kafka at {bootstrap}: {who} may not {what}")


def _asked(acl: Acl) -> tuple[str, str]:
    return acl.resource, acl.name


def _answers(admin: ClusterAdmin, wanted: Sequence[Acl]) -> Mapping[tuple[str, str], "Future[Any]"]:
    """Ask what the login may do with everything that `wanted` names; return the answers to come."""
    topics, groups = (
        sorted({acl.name for acl in wanted if acl.resource == kind}) for kind in ("topic", "group")
    )
    answers: dict[tuple[str, str], Future[Any]] = {}
    if topics:
        described = admin.describe_topics(
            TopicCollection(topics), include_authorized_operations=True, request_timeout=REACH_TIMEOUT_S
        )
        answers |= {("topic", name): future for name, future in described.items()}
    if groups:
        found = admin.describe_consumer_groups(
            groups, include_authorized_operations=True, request_timeout=GROUP_TIMEOUT_S
        )
        answers |= {("group", name): future for name, future in found.items()}
    return answers


def _rights(answer: "Future[Any]", bootstrap: str, name: str) -> Rights:
    """Return what may be done with the topic or group `name`. Raises BrokerError."""
    try:
        return frozenset(AclOperation(each) for each in answer.result().authorized_operations)
    except KafkaException as error:
        code, reason = error.args[0].code(), error.args[0].str()
    if code in REFUSED:
        return frozenset()
    if code in NOT_TOLD:
        return EVERY_RIGHT
    if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise BrokerError(f"Kafka at {bootstrap} has no topic {name}")
    raise BrokerError(f"Kafka at {bootstrap} does not say who may use {name}: {reason}")
