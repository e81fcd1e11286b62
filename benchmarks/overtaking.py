"""Counts confirmed records that a broker does not have, by how many requests a producer may have in flight.

    uv run python -m benchmarks.overtaking [--topics 60]

Each topic is written to as soon as its partitions have a leader in the metadata; the broker may still refuse
the first batch of a partition, and take the next one. On a machine with nothing else to do that is rare: run
it beside something that keeps the processors busy. docs/adr/0009 says what follows from it.
"""

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path

import psutil
from confluent_kafka import KafkaError, Message, Producer

from overt.runtime.kafka import PRODUCER, KafkaBroker, TopicSpec, create_topics
from tests.integration.servers.kafka import KafkaServer

TOOLS = Path(__file__).parents[1] / ".tools"
IN_FLIGHT = (5, 1)
RECORDS, KEYS, PARTITIONS = 150, 6, 4
RECORD_BYTES, APART_S = 36_000, 0.002
# Made together with it, as `overt topics apply` does: the broker takes longer until it leads them all.
NEIGHBOURS = 6
TIMEOUT_S = 60.0


def missing(bootstrap: str, topic: str, in_flight: int) -> int:
    """Return how many confirmed records a new topic does not hold."""
    create_topics(
        bootstrap,
        [TopicSpec(name, PARTITIONS, {}) for name in (topic, *(f"{topic}-{n}" for n in range(NEIGHBOURS)))],
    )
    config = {**PRODUCER, "max.in.flight.requests.per.connection": in_flight}
    producer = Producer({**config, "bootstrap.servers": bootstrap, "log_level": 0})
    producer.list_topics(timeout=TIMEOUT_S)
    confirmed = 0

    def count(error: KafkaError | None, _: Message) -> None:
        nonlocal confirmed
        confirmed += error is None

    for number in range(RECORDS):
        producer.produce(topic, bytes(RECORD_BYTES), f"key-{number % KEYS}".encode(), on_delivery=count)
        producer.poll(0)
        time.sleep(APART_S)
    producer.flush(TIMEOUT_S)
    reader = KafkaBroker(bootstrap, client_id="overtaking").table(topic)
    found = 0
    while not reader.caught_up():
        found += len(reader.poll())
    found += len(reader.poll())
    reader.close()
    return confirmed - found


def main() -> int:
    """Run and print; return 1 if a record is missing with what Overt uses."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overtaking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--topics", type=int, default=60)
    told = parser.parse_args()
    load = psutil.getloadavg()[0]
    sys.stdout.write(
        f"{platform.machine()}, {psutil.cpu_count()} cores, {platform.python_version()}, load {load:.1f}\n"
    )
    found: dict[int, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder, KafkaServer.start(TOOLS, Path(folder) / "kafka") as kafka:
        for in_flight in IN_FLIGHT:
            found[in_flight] = [
                missing(kafka.bootstrap, f"fresh-{in_flight}-{number}", in_flight)
                for number in range(told.topics)
            ]
            of = found[in_flight]
            sys.stdout.write(
                f"{in_flight} in flight: {sum(of)} of {RECORDS * told.topics} confirmed records missing, "
                f"on {sum(one > 0 for one in of)} of {told.topics} topics\n"
            )
            sys.stdout.flush()
    return 1 if sum(found[int(PRODUCER["max.in.flight.requests.per.connection"])]) else 0


if __name__ == "__main__":
    sys.exit(main())
