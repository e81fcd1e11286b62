"""Access rules from the topics table: what has to hold whatever the table says."""

import pytest

from overt.contracts.access import OPERATOR, access, access_of
from overt.contracts.topics import ALERT_WINDOWS, CHANGELOGS, SERVICES, TOPICS, Topic
from overt.runtime.kafka_acls import Acl


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_acts_under_its_own_name_and_in_no_group_but_its_own(service: str) -> None:
    for acl in access_of(service):
        assert acl.user == service
        assert acl.resource == "topic" or (acl.name, acl.operation) == (service, "read")


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_only_its_writers_write_to_a_topic_and_only_its_readers_read_it(topic: Topic) -> None:
    acls = [acl for acl in access() if (acl.resource, acl.name) == ("topic", topic.name)]
    services = set(SERVICES)
    assert {acl.user for acl in acls if acl.operation == "write"} == set(topic.writers) & services
    assert {acl.user for acl in acls if acl.operation == "read"} == set(topic.readers) & services


def test_every_topic_has_a_writer_and_every_service_writes() -> None:
    for topic in TOPICS.values():
        assert topic.writers
        assert set(topic.writers) <= set(SERVICES)
    assert {writer for topic in TOPICS.values() for writer in topic.writers} == set(SERVICES)


def test_dead_letters_are_written_by_whoever_reads_the_source_in_a_group_and_read_by_no_service() -> None:
    dead = {topic.dead: topic for topic in TOPICS.values()}
    for acl in access():
        if acl.name in dead:
            source = dead[acl.name]
            assert acl.operation == "write"
            assert acl.user in source.readers
            assert not source.is_table


def test_a_changelog_is_its_owners_alone() -> None:
    for changelog in CHANGELOGS:
        acls = {acl for acl in access() if acl.name == changelog.name}
        assert acls == {
            Acl(changelog.owner, "topic", changelog.name, "read"),
            Acl(changelog.owner, "topic", changelog.name, "write"),
        }
    assert ALERT_WINDOWS.owner == "alerts"


def test_whoever_reads_nothing_has_no_group() -> None:
    assert [acl for acl in access_of("control") if acl.operation == "read"] == []


def test_a_reader_from_outside_reads_alerts_alone() -> None:
    added = set(access(["dispatch"])) - set(access())
    assert added == {
        Acl("dispatch", "topic", "alerts.v1", "read"),
        Acl("dispatch", "group", "dispatch", "read"),
    }


@pytest.mark.parametrize("name", [*SERVICES, OPERATOR])
def test_a_reader_from_outside_can_not_borrow_a_name_of_overt(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        access([name])


def test_a_name_that_is_no_service_has_no_access() -> None:
    with pytest.raises(ValueError, match="auditors"):
        access_of("auditors")
