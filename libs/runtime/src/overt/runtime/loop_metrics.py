"""What every loop counts, declared once with its meaning."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram


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

    def for_service(self, service: str) -> "LoopMetrics":
        """The view of one service."""
        return LoopMetrics(self, service)


class LoopMetrics:
    """What one loop writes to."""

    def __init__(self, collectors: LoopCollectors, service: str) -> None:
        self._collectors = collectors
        self._service = service

    def count(self, topic: str, outcome: str) -> None:
        """Count one record."""
        self._collectors.records.labels(self._service, topic, outcome).inc()

    @contextmanager
    def time_batch(self, records: int) -> Iterator[None]:
        """Time one batch; an empty one is not counted."""
        start = perf_counter()
        yield
        if records:
            self._collectors.batch_seconds.labels(self._service).observe(perf_counter() - start)
            self._collectors.batch_records.labels(self._service).observe(records)
