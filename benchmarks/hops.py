"""Measures where each millisecond goes from a camera's picture to an alert over a real Apache Kafka, hop by hop.

    uv run python -m benchmarks.hops --minutes 5

One 1080p camera at 25 pictures a second (the demo's clip, played again and again), the services as processes
of their own, one broker on this machine. A shot is followed by its capture time through the topics; when it
stood on each is the broker's own clock (LogAppendTime, whole milliseconds). Times are of this machine, which
is printed; compare runs of one machine only.
"""

import argparse
import itertools
import os
import platform
import statistics
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from overt.cli.datafolder import default_cache_dir
from overt.cli.demo import prepare
from overt.cli.models import models_dir
from overt.cli.summary import percentile
from overt.contracts.codec import decode
from overt.contracts.events import AlertRaised
from overt.contracts.messages import FaceFound, FrameCaptured, MatchMade, TemplateMade
from overt.contracts.topics import ALERTS, FACES, FRAMES, MATCHES, TEMPLATES, Topic
from overt.contracts.wire import TopicWire
from overt.runtime.broker import Record
from overt.runtime.keys import KeyGone
from overt.runtime.keys_http import RemoteKeys
from tests.integration.conftest import enrol
from tests.integration.deployed import CAMERA, Deployed
from tests.integration.servers.kafka import KafkaServer
from tests.integration.servers.milvus import MilvusServer

SEALED = (FRAMES, FACES, TEMPLATES, MATCHES)
# Each pass of the looped clip (16 s) is an alert of its own, so that there is more than one to measure.
WINDOW_S = 4.0
WARM_UP_S = 20.0
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Hop:
    """One part of the way, in words, and how long every shot that came through took for it."""

    name: str
    took_ms: Sequence[float]


@dataclass(slots=True)
class Seen:
    """When each shot, known by its capture time, stood where. Filled by one thread a topic."""

    at_ms: dict[str, dict[int, float]] = field(
        default_factory=lambda: {topic.name: {} for topic in (*SEALED, ALERTS)}
    )
    read_at_ms: dict[int, float] = field(default_factory=dict)
    raised_at_ms: dict[int, float] = field(default_factory=dict)

    def take(self, topic: Topic, record: Record, message: msgspec.Struct) -> None:
        """Note one message."""
        captured_at_ns = captured_of(message)
        if captured_at_ns is None:
            return
        # The first one counts: what is redelivered has been there before.
        self.at_ms[topic.name].setdefault(captured_at_ns, record.timestamp_ms)
        if isinstance(message, FrameCaptured):
            self.read_at_ms[captured_at_ns] = message.read_at_ns / NS_PER_MS
        if isinstance(message, AlertRaised):
            self.raised_at_ms[captured_at_ns] = message.at_ns / NS_PER_MS

    def hops(self, since_ms: float) -> Sequence[Hop]:
        """Return every hop, for the shots captured after `since_ms`."""
        captured = {at_ns: at_ns / NS_PER_MS for at_ns in self.at_ms[FACES.name]}
        stations: Sequence[tuple[str, Mapping[int, float]]] = (
            ("captured", captured),
            ("decoded, sampled (ingest)", self.read_at_ms),
            ("encoded, sealed, on frames.v1 (ingest)", self.at_ms[FRAMES.name]),
            ("found, followed, best shot on faces.v1 (detect)", self.at_ms[FACES.name]),
            ("template on templates.v1 (embed)", self.at_ms[TEMPLATES.name]),
            ("searched, on matches.v1 (match)", self.at_ms[MATCHES.name]),
            ("alert stored (alerts)", self.raised_at_ms),
            ("event on alerts.v1 (alerts)", self.at_ms[ALERTS.name]),
        )
        pairs = itertools.pairwise(stations)
        hops = [Hop(name, between(before, after, since_ms)) for (_, before), (name, after) in pairs]
        return [
            *hops,
            Hop(
                "picture captured to match on the topic",
                between(captured, self.at_ms[MATCHES.name], since_ms),
            ),
            Hop("picture captured to alert stored", between(captured, self.raised_at_ms, since_ms)),
        ]


def captured_of(message: msgspec.Struct) -> int | None:
    """Return the capture time by which a shot is known on every topic."""
    if isinstance(message, FrameCaptured | AlertRaised):
        return message.captured_at_ns
    if isinstance(message, FaceFound | TemplateMade | MatchMade):
        return message.shot.captured_at_ns
    return None


def between(before: Mapping[int, float], after: Mapping[int, float], since_ms: float) -> list[float]:
    """Return how long each shot took from one station to the next."""
    return [
        at_ms - before[shot]
        for shot, at_ms in after.items()
        if shot in before and shot / NS_PER_MS > since_ms
    ]


def watch(system: Deployed, topic: Topic, seen: Seen, stop: threading.Event) -> None:
    """Read `topic` while it grows and note what stands on it."""
    keys: RemoteKeys = system.keys_of("match")
    wire: TopicWire[msgspec.Struct] = TopicWire(topic, keys)
    try:
        for record in system.topics.follow(topic, stop):
            try:
                sealed = topic.sealed is not None
                message = wire.open(record) if sealed else decode(topic, record.value or b"")
            except KeyGone:
                continue
            seen.take(topic, record, message)
    finally:
        keys.close()


def measure(minutes: float, folder: Path) -> tuple[Sequence[Hop], Mapping[str, float]]:
    """Run everything for `minutes` and return the hops and the counts of pictures."""
    files = prepare(default_cache_dir())
    cameras = [{"camera_id": CAMERA, "source": str(files.clip), "loop": True, "rate_hz": 25.0}]
    tools = Path(__file__).parents[1] / ".tools"
    with (
        KafkaServer.start(tools, folder / "kafka") as kafka,
        MilvusServer.start(folder / "milvus") as milvus,
        Deployed(
            folder,
            kafka,
            milvus,
            models_dir(default_cache_dir()),
            cameras,
            told={"alerts": {"OVERT_ALERTS_WINDOW_S": str(WINDOW_S)}},
        ) as system,
    ):
        system.start()
        enrol(system, files)
        return observe(system, minutes)


def observe(system: Deployed, minutes: float) -> tuple[Sequence[Hop], Mapping[str, float]]:
    """Watch a running system under an order."""
    seen, stop, pause = Seen(), threading.Event(), threading.Event()
    watchers = [
        threading.Thread(target=watch, args=(system, topic, seen, stop), daemon=True)
        for topic in (*SEALED, ALERTS)
    ]
    for watcher in watchers:
        watcher.start()
    with system.capturing(CAMERA):
        pause.wait(WARM_UP_S)
        since_ms = max(seen.read_at_ms.values(), default=0.0)
        for tenth in range(1, 11):
            pause.wait(minutes * 6)
            print(f"\r{tenth * 10} %", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        ingest, detect = system.services["ingest"], system.services["detect"]
        counts = {
            "read": ingest.metric("overt_ingest_frames_read_total"),
            "dropped by ingest": ingest.metric("overt_ingest_frames_dropped_total"),
            "skipped by detect": detect.metric("overt_detect_frames_skipped_total"),
        }
    stop.set()
    for watcher in watchers:
        watcher.join(10)
    return seen.hops(since_ms), counts


def report(hops: Sequence[Hop], counts: Mapping[str, float]) -> None:
    """Print the table that docs/performance.md shows."""
    print("\n| hop | n | median ms | p95 ms | largest ms |\n|---|---|---|---|---|")
    for hop in hops:
        if not hop.took_ms:
            print(f"| {hop.name} | 0 | | | |")
            continue
        p95_ms, largest_ms = percentile(hop.took_ms, 0.95), max(hop.took_ms)
        middle_ms = statistics.median(hop.took_ms)
        print(f"| {hop.name} | {len(hop.took_ms)} | {middle_ms:.0f} | {p95_ms:.0f} | {largest_ms:.0f} |")
    print("\npictures: " + ", ".join(f"{value:.0f} {name}" for name, value in counts.items()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long to measure (default 5)")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        report(*measure(arguments.minutes, Path(folder)))


if __name__ == "__main__":
    main()
