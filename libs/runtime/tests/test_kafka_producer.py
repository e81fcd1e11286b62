"""How records are handed to Kafka, as far as it shows without one."""

from overt.runtime.kafka import PRODUCER


def test_no_batch_can_overtake_one_that_a_broker_refused() -> None:
    # That it would be lost otherwise shows only now and then: benchmarks/overtaking.py, ADR 9.
    assert PRODUCER["max.in.flight.requests.per.connection"] == 1
