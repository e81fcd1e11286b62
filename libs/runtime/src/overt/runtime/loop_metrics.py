"""What every loop counts, declared once with its meaning."""

from collections.abc import Callable, Sequence
from time import perf_counter, time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from overt.runtime.broker import Consumer, Record

# Asking every partition for its lag is not worth doing a hundred times a second.
LAG_EVERY_S = 1.0


class LoopCollectors:
    """The collectors of one registry; each service of the process takes its own view with `for_service`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "overt_loop_records_total",
            "Records by outcome: read, dead (parked), expired (key destroyed), produced, unsendable "
            "(deployment closed), commit_refused.",
            ["service", "topic", "outcome"],
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "overt_loop_batch_seconds",
            "Time from decode to flush of one non-empty batch.",
            ["service"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.batch_records = Histogram(
            "overt_loop_batch_records",
            "Records of one non-empty batch.",
            ["service"],
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.lag_records = Gauge(
            "overt_loop_lag_records",
            "Records that wait on this member's partitions, as the last fetches told: it stands still while "
            "paused.",
            ["service", "topic"],
            registry=registry,
        )
        self.expired = Counter(
            "overt_loop_expired_records_total",
            "Records that retention took before this service came to them: it was away or too slow.",
            ["service", "topic"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "overt_loop_lag_seconds",
            "Age of the batch in hand: seconds since the broker appended its oldest record; 0 without one.",
            ["service", "topic"],
            registry=registry,
        )
        self.paused = Gauge(
            "overt_loop_paused",
            "1 while the loop waits for something that is away (see /readyz), else 0.",
            ["service"],
            registry=registry,
        )

    def for_service(self, service: str, now_s: Callable[[], float] = time) -> "LoopMetrics":
        """The view of one service; `now_s` is compared with the times of records (UNIX, UTC)."""
        return LoopMetrics(self, service, now_s)


class LoopMetrics:
    """What one loop writes to."""

    def __init__(self, collectors: LoopCollectors, service: str, now_s: Callable[[], float] = time) -> None:
        self._collectors = collectors
        self._service = service
        self._now_s = now_s
        self._started_s: float | None = None
        self._records = 0
        self._oldest_s: dict[str, float] = {}
        self._lag_due_s = 0.0

    def count(self, topic: str, outcome: str) -> None:
        """Count one record."""
        self._collectors.records.labels(self._service, topic, outcome).inc()

    def begin(self, records: Sequence[Record]) -> None:
        """Begin to time a batch; an empty one is not counted."""
        self._started_s = perf_counter() if records else None
        self._records = len(records)
        self._oldest_s = dict.fromkeys(self._oldest_s, self._now_s())
        for record in records:
            at_s = record.timestamp_ms / 1000
            self._oldest_s[record.topic] = min(at_s, self._oldest_s.get(record.topic, at_s))

    def end(self) -> None:
        """The batch is confirmed; said again, it counts once."""
        if self._started_s is not None:
            self._collectors.batch_seconds.labels(self._service).observe(perf_counter() - self._started_s)
            self._collectors.batch_records.labels(self._service).observe(self._records)
            self._started_s = None

    def age(self) -> None:
        """Take down how old the batch in hand is."""
        now_s = self._now_s()
        for topic, oldest_s in self._oldest_s.items():
            self._collectors.lag_seconds.labels(self._service, topic).set(max(now_s - oldest_s, 0.0))

    def idle(self) -> None:
        """Nothing is in hand now."""
        self.begin(())
        self.age()

    def watch(self, consumer: Consumer) -> None:
        """Take down how far behind `consumer` is, and what it came too late for."""
        self.age()
        for topic, records in consumer.expired().items():
            self.expired(topic, records)
        if perf_counter() >= self._lag_due_s:
            self._lag_due_s = perf_counter() + LAG_EVERY_S
            for topic, records in consumer.lag().items():
                self.lag(topic, records)

    def expired(self, topic: str, records: int) -> None:
        """Count records of `topic` that retention took first; for what reads without a Consumer."""
        self._collectors.expired.labels(self._service, topic).inc(records)

    def lag(self, topic: str, records: int) -> None:
        """Take down how many records of `topic` wait; for what reads without a Consumer."""
        self._collectors.lag_records.labels(self._service, topic).set(records)

    def paused(self, *, yes: bool) -> None:
        """Say whether the loop waits for something that is away."""
        self._collectors.paused.labels(self._service).set(yes)
