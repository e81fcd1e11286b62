"""How a topic that is there is compared with the one that should be, without a cluster."""

import pytest

from overt.runtime.broker import BrokerError
from overt.runtime.kafka_admin import BROKER_DEFAULT, TopicSeen, TopicSpec
from overt.runtime.kafka_topics import TopicDrift, TopicState, mendable, replicated, topic_drifts

SPEC = TopicSpec("frames.v1", 8, {"retention.ms": "60000"}, replication=3)


def state(partitions: int = 8, replication: int = 3, **config: str) -> TopicState:
    settings = {name.replace("_", "."): value for name, value in config.items()}
    defaults = {"retention.ms": "60000", "segment.bytes": "1073741824"}
    return TopicState(
        TopicSeen(partitions, led=True, replication=replication),
        {**defaults, **settings},
        frozenset({"retention.ms", *settings}),
    )


def lines(found: TopicState | None) -> list[str]:
    there = {} if found is None else {SPEC.name: found}
    return [str(drift) for drift in topic_drifts([SPEC], there)]


def test_a_topic_as_specified_has_no_drift_whatever_its_defaults() -> None:
    assert lines(state()) == []


def test_a_topic_that_is_not_there_is_missing() -> None:
    assert lines(None) == ["frames.v1: is missing"]


def test_each_difference_is_named_with_what_is_and_what_should_be() -> None:
    assert lines(state(4, 1, retention_ms="1", retention_bytes="5")) == [
        "frames.v1: partitions is 4, should be 8",
        "frames.v1: replication is 1, should be 3",
        "frames.v1: retention.ms is 1, should be 60000",
        "frames.v1: retention.bytes is set to 5, should not be set",
    ]


def test_a_topic_that_no_spec_names_is_not_looked_at() -> None:
    assert topic_drifts([SPEC], {SPEC.name: state(), "another": state(1)}) == []


@pytest.mark.parametrize(
    ("nodes", "asked", "copies", "in_sync"),
    [(1, None, 1, "1"), (3, None, 3, "2"), (5, None, 3, "2"), (2, 2, 2, "1"), (2, 1, 1, "1")],
)
def test_copies_follow_the_number_of_nodes_and_one_may_be_away(
    nodes: int, asked: int | None, copies: int, in_sync: str
) -> None:
    (spec,) = replicated([TopicSpec("a", 1, {"x": "y"})], nodes, asked)
    assert (spec.replication, spec.config) == (copies, {"x": "y", "min.insync.replicas": in_sync})


@pytest.mark.parametrize(("nodes", "asked"), [(2, None), (1, 2), (3, 4)])
def test_more_copies_than_nodes_are_refused(nodes: int, asked: int | None) -> None:
    with pytest.raises(BrokerError, match=f"this cluster has {nodes}"):
        replicated([SPEC], nodes, asked)


def test_a_spec_leaves_copies_to_the_cluster_unless_told() -> None:
    assert TopicSpec("a", 1).replication == BROKER_DEFAULT


@pytest.mark.parametrize(
    ("drift", "unasked", "asked"),
    [
        (TopicDrift("a", "missing"), True, True),
        (TopicDrift("a", "config", "1", "2", "retention.ms"), True, True),
        (TopicDrift("a", "surplus config", "1", setting="retention.ms"), True, True),
        (TopicDrift("a", "partitions", "2", "10"), False, True),
        (TopicDrift("a", "partitions", "10", "2"), False, False),
        (TopicDrift("a", "replication", "1", "3"), False, False),
    ],
)
def test_order_of_keys_and_copies_are_never_changed_unasked(
    drift: TopicDrift, unasked: bool, asked: bool
) -> None:
    assert mendable(drift, add_partitions=False) == unasked
    assert mendable(drift, add_partitions=True) == asked
