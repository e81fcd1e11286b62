"""A Kafka client's complaints: said, but not a thousand times; and the end is the end."""

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from overt.runtime.broker import BrokerError
from overt.runtime.clock import ManualClock
from overt.runtime.kafka_errors import QUIET_S, ClientErrors

AWAY = KafkaError(KafkaError._TRANSPORT, "connection refused")
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
FENCED = KafkaError(KafkaError.PRODUCER_FENCED, "another took over", fatal=True)


def test_a_problem_is_said_once_in_a_while_for_each_kind_with_what_was_left_out() -> None:
    clock = ManualClock()
    errors = ClientErrors(clock.monotonic_s)
    with capture_logs() as lines:
        for _ in range(100):
            errors.report(AWAY)
            errors.report(DOWN)
        clock.advance(QUIET_S)
        errors.report(AWAY)
    assert [(line["error"], line["not_shown"]) for line in lines] == [
        ("_TRANSPORT", 0),
        ("_ALL_BROKERS_DOWN", 0),
        ("_TRANSPORT", 99),
    ]
    errors.check()


def test_an_error_the_client_cannot_get_over_is_raised_by_the_next_call_and_all_after() -> None:
    errors = ClientErrors()
    with capture_logs():
        errors.report(FENCED)
        errors.report(AWAY)
    for _ in range(2):
        with pytest.raises(BrokerError, match="another took over"):
            errors.check()
