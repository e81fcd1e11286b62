"""Measures how throughput grows with workers: the real loop over a real Apache Kafka, with a stand-in handler.

    uv run python -m benchmarks.scaling [--runs 3]

The handler sleeps 20 ms a record instead of computing, so that eight workers fit on any machine: what is
shown is the loop, the consumer group and Kafka, not recognition. Each worker is a process of its own on one
topic of 8 partitions. Then one of four workers is killed in mid-run and another added, and every record is
looked for on the other side.
"""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from overt.runtime.broker import Record
from overt.runtime.kafka import KafkaBroker, TopicSpec, create_topics
from overt.runtime.loop import Addressed, Loop
from overt.runtime.loop_metrics import LoopCollectors
from tests.integration.servers.kafka import KafkaServer

WORKERS = (1, 2, 4, 8)
PARTITIONS = 8
COST_S = 0.020
# Each run lasts about as long, whatever the number of workers.
RECORDS_A_WORKER = 200
TIMEOUT_S = 60.0
TOOLS = Path(__file__).parents[1] / ".tools"


@dataclass(frozen=True, slots=True)
class Raw:
    """A wire that changes nothing: a record's key and value go to `target`."""

    target: str

    def open(self, record: Record) -> Record:
        """See Wire."""
        return record

    def seal(self, out: Record) -> Addressed:
        """See Wire."""
        return Addressed(self.target, out.key, out.value)

    def dead_letter(self, record: Record, reason: str) -> Addressed:
        """See Wire; nothing here is unreadable."""
        raise AssertionError(f"{record.offset}: {reason}")


def costly(records: Sequence[Record]) -> Sequence[Record]:
    """Stand in for detection: 20 ms a record, and nothing computed."""
    for _ in records:
        time.sleep(COST_S)
    return records


def work(bootstrap: str, source: str) -> None:
    """Run one worker until it is killed."""
    broker = KafkaBroker(bootstrap, client_id="overt-scaling")
    Loop(
        consumer=broker.consumer(source, [source]),
        producer=broker.producer(),
        wire=Raw(f"{source}.out"),
        handle=costly,
        metrics=LoopCollectors(CollectorRegistry()).for_service("scaling"),
    ).run(threading.Event())


class Bench:
    """A pair of fresh topics and the workers between them."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._source = f"scaling-{uuid4().hex[:8]}"
        own_clock = {"message.timestamp.type": "LogAppendTime"}
        create_topics(
            bootstrap,
            [TopicSpec(name, PARTITIONS, own_clock) for name in (self._source, f"{self._source}.out")],
        )
        self._workers: list[subprocess.Popen[bytes]] = []

    def add(self, count: int) -> None:
        """Start workers and return once all partitions are theirs."""
        command = [sys.executable, "-m", "benchmarks.scaling", "--worker", self._bootstrap, self._source]
        self._workers += [subprocess.Popen(command) for _ in range(count)]
        _until(lambda: self._settled(len(self._workers)), f"{len(self._workers)} workers share the topic")

    def kill_one(self) -> None:
        """Kill a worker outright; its partitions go to the others once the group has missed it."""
        worker = self._workers.pop()
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    def _settled(self, members: int) -> bool:
        try:
            group = self._admin.describe_consumer_groups([self._source])[self._source].result(10)
        except (KafkaException, TimeoutError):  # the group is still being made
            return False
        held = [len(member.assignment.topic_partitions) for member in group.members]
        return len(held) == members and sum(held) == PARTITIONS and min(held) == PARTITIONS // members

    def send(self, count: int) -> int:
        """Put `count` numbered records on the topic, evenly; return when the first stood there, by the broker."""
        arrived_ms: list[int] = []
        producer = Producer({"bootstrap.servers": self._bootstrap, "log_level": 0})
        for number in range(count):
            producer.produce(
                self._source,
                b"x",
                str(number).encode(),
                partition=number % PARTITIONS,
                on_delivery=lambda _, message: arrived_ms.append(message.timestamp()[1]),
            )
        producer.flush(TIMEOUT_S)
        return min(arrived_ms)

    def done(self) -> Iterator[Record]:
        """Yield what comes out, from the beginning; ends never by itself."""
        client = Client({"bootstrap.servers": self._bootstrap, "group.id": uuid4().hex, "log_level": 0})
        client.assign([TopicPartition(f"{self._source}.out", number, 0) for number in range(PARTITIONS)])
        deadline_s = time.monotonic() + TIMEOUT_S
        try:
            while time.monotonic() < deadline_s:
                message = client.poll(0.5)
                if message is not None and message.error() is None:
                    deadline_s = time.monotonic() + TIMEOUT_S
                    key, (_, at_ms) = message.key() or b"", message.timestamp()
                    yield Record(self._source, message.partition() or 0, 0, key, None, at_ms)
            raise TimeoutError(f"nothing came out for {TIMEOUT_S:.0f} s")
        finally:
            client.close()

    def close(self) -> None:
        """End the workers."""
        while self._workers:
            self.kill_one()


@contextmanager
def bench(bootstrap: str) -> Iterator[Bench]:
    """Open a bench; its workers end with the block."""
    opened = Bench(bootstrap)
    try:
        yield opened
    finally:
        opened.close()


def records_a_second(bootstrap: str, workers: int) -> float:
    """Return how many records `workers` handle a second, by the broker's clock."""
    count = RECORDS_A_WORKER * workers
    with bench(bootstrap) as opened:
        opened.add(workers)
        begun_ms = opened.send(count)
        times_ms: dict[bytes, int] = {}
        for record in opened.done():
            times_ms.setdefault(record.key, record.timestamp_ms)
            if len(times_ms) == count:
                break
    return count / ((max(times_ms.values()) - begun_ms) / 1000)


def disturbed(bootstrap: str) -> str:
    """Kill one of four workers at a third of the way, add one at two thirds; say what became of the records."""
    count = RECORDS_A_WORKER * 20  # some 20 s: a killed worker is missed after 10
    with bench(bootstrap) as opened:
        opened.add(4)
        opened.send(count)
        seen: set[bytes] = set()
        came, steps = 0, [(count // 3, opened.kill_one), (2 * count // 3, lambda: opened.add(1))]
        for record in opened.done():
            came += 1
            seen.add(record.key)
            while steps and len(seen) >= steps[0][0]:
                steps.pop(0)[1]()
            if len(seen) == count:
                break
    return (
        f"{count} records sent, {len(seen)} came out, {count - len(seen)} lost, {came - len(seen)} came twice"
    )


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{TIMEOUT_S:.0f} s were not enough until {what}")
        time.sleep(0.1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="runs a number of workers (default 3)")
    parser.add_argument("--worker", nargs=2, metavar=("BOOTSTRAP", "TOPIC"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.worker:
        work(*told.worker)
        return
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}"
    )
    print(f"stand-in handler: sleeps {COST_S * 1000:.0f} ms a record; {PARTITIONS} partitions\n")
    print("workers  records/s (median, range)       of one worker")
    with tempfile.TemporaryDirectory() as folder, KafkaServer.start(TOOLS, Path(folder)) as kafka:
        alone = 0.0
        for workers in WORKERS:
            rates = [records_a_second(kafka.bootstrap, workers) for _ in range(told.runs)]
            median = statistics.median(rates)
            alone = alone or median
            print(
                f"{workers:7}  {median:6.1f} (from {min(rates):.1f} to {max(rates):.1f})      {median / alone:.2f} x",
                flush=True,
            )
        print(f"\none of four killed, one added: {disturbed(kafka.bootstrap)}")


if __name__ == "__main__":
    main()
