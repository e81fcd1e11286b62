"""What each process of a deployment holds at a moment: memory, open files and threads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from tests.integration.deployed import Service


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process held at a moment; a service's children (cameras) count with it."""

    at_s: float
    process: str
    rss_mb: float
    files: int
    threads: int


def sampled(services: Mapping[str, Service], at_s: float) -> Sequence[Sample]:
    """Look at every process once; one that has just ended is passed over."""
    found = []
    for name, service in services.items():
        try:
            whole = psutil.Process(service.process.pid)
            family = [whole, *whole.children(recursive=True)]
            found.append(
                Sample(
                    at_s,
                    name,
                    sum(one.memory_info().rss for one in family) / 1e6,
                    sum(one.num_fds() for one in family),
                    sum(one.num_threads() for one in family),
                )
            )
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
