"""Measures how detect and embed grow with workers: the real services over a real Apache Kafka, stand-in models.

    uv run python -m benchmarks.scaling [--runs 3] [--service detect]

The models sleep 20 ms a picture or crop instead of computing, so that eight workers fit on any machine: what is
shown is the services around them (orders, unsealing, the loop, the consumer group), not recognition. Pictures
are small and show nobody, so detect has nothing to send; every crop gives a template. Keys are in each
process. Each worker is a process; there are eight cameras, one a partition. Then one of four embed workers is
killed in mid-run and another added, and the template of every face is looked for.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import Box, FaceFound, FrameCaptured, Shot, TemplateMade
from overt.contracts.orders import Order, sign
from overt.contracts.topic_specs import topic_specs
from overt.contracts.topics import DEPLOYMENTS, FACES, FRAMES, TEMPLATES, Topic
from overt.contracts.wire import Out, TopicWire
from overt.detect.jpeg import encode as encode_jpeg
from overt.detect.service import build as build_detect
from overt.detect.settings import DetectOptions
from overt.embed.service import build as build_embed
from overt.embed.settings import EmbedOptions
from overt.recognition.align import ARCFACE
from overt.recognition.detections import Floats
from overt.recognition.detector import Detector
from overt.recognition.embedder import Embedder
from overt.recognition.layouts import STRIDES_PX
from overt.recognition.pack import Pack, pack_info
from overt.runtime.broker import Record
from overt.runtime.clock import SystemClock
from overt.runtime.kafka import KafkaBroker, create_topics
from overt.runtime.keys import KeyRing
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.process import Runner
from tests.integration.servers.kafka import KafkaServer

WORKERS = (1, 2, 4, 8)
COST_S = 0.020
# Each run lasts about as long, whatever the number of workers.
MESSAGES_A_WORKER = 200
DISTURBED_MESSAGES = 4_000  # some 20 s: a killed worker is missed after 6
TIMEOUT_S = 60.0
TOOLS = Path(__file__).parents[1] / ".tools"

DEPLOYMENT, FRAME_NS = "scaling", 40_000_000
INFO = pack_info("cpu")
PICTURE_JPEG = encode_jpeg(np.full((64, 64, 3), 128, np.uint8), 90)
CROP_RGB = bytes(INFO.crop_size_px**2 * 3)
# Every process of a run has the same keys, all zeros: nothing here is anybody's.
ORDER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


class SleepingNetwork:
    """Stands for the detector's network: finds nobody, in a fixed time."""

    def run(self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]) -> list[Floats]:
        """See overt.recognition.detector.Session."""
        time.sleep(COST_S)
        height, width = input_feed["input"].shape[2:]
        anchors = [(height // stride) * (width // stride) for stride in STRIDES_PX]
        columns = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
        maps = {
            f"{kind}_{stride}": np.zeros((1, count, columns[kind]), np.float32)
            for stride, count in zip(STRIDES_PX, anchors, strict=True)
            for kind in columns
        }
        return [maps[name] for name in output_names]


class SleepingEmbedder:
    """Stands for the embedder's network: the same template of every crop, in a fixed time a crop."""

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See overt.embed.core.Embedder."""
        time.sleep(COST_S * len(crops_NHWC))
        return np.eye(1, INFO.dimension, dtype=np.float32).repeat(len(crops_NHWC), axis=0)


PACK = Pack(INFO, Detector(SleepingNetwork()), ARCFACE, cast("Embedder", SleepingEmbedder()))


def frame(camera_id: str, at_ns: int) -> FrameCaptured:
    """Return a picture from a recording: such a one is never too old to be looked at."""
    return FrameCaptured(
        deployment_id=DEPLOYMENT,
        camera_id=camera_id,
        sequence=at_ns // FRAME_NS,
        captured_at_ns=at_ns,
        read_at_ns=at_ns,
        live=False,
        width_px=64,
        height_px=64,
        jpeg=PICTURE_JPEG,
    )


def face(camera_id: str, at_ns: int) -> FaceFound:
    """Return a face, grey."""
    shot = Shot(
        camera_id=camera_id,
        track_id=str(at_ns),
        number=1,
        captured_at_ns=at_ns,
        read_at_ns=at_ns,
        box=Box(10, 10, 50, 60),
        landmarks_px=(20, 30, 40, 30, 30, 40, 22, 50, 38, 50),
        quality=80,
        crop_side_px=INFO.crop_size_px,
        crop_rgb=CROP_RGB,
        portrait_jpeg=PICTURE_JPEG,
        context_jpeg=PICTURE_JPEG,
    )
    return FaceFound(deployment_id=DEPLOYMENT, fingerprint=INFO.fingerprint, shot=shot)


NewMessage = Callable[[str, int], FrameCaptured | FaceFound]
Build = Callable[[Context], Runner]

# What each service reads, made for a camera and a time, and how the service is built.
SERVICES: Mapping[str, tuple[Topic, NewMessage, Build]] = {
    "detect": (FRAMES, frame, lambda context: build_detect(context, DetectOptions(), PACK)),
    "embed": (FACES, face, lambda context: build_embed(context, EmbedOptions(), PACK)),
}


def keys() -> KeyRing:
    """Return the keys of the deployment."""
    ring = KeyRing(SystemClock(), epoch_s=86_400, random_bytes=bytes)
    ring.open(DEPLOYMENT)
    ring.current(DEPLOYMENT, "epoch")  # makes it
    return ring


def work(service: str, bootstrap: str) -> None:
    """Run one worker until it is told to end, or killed."""
    stop, registry = threading.Event(), CollectorRegistry()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    broker = KafkaBroker(bootstrap, client_id=f"overt-{service}")
    context = Context(
        broker, keys(), ORDER_KEY.public_key(), SystemClock(), registry, LoopCollectors(registry)
    )
    _, _, build = SERVICES[service]
    build(context)(stop)


class Bench:
    """The topics of a cluster, one service's workers on them, and what is sent to them."""

    def __init__(self, bootstrap: str, service: str) -> None:
        self._bootstrap = bootstrap
        self._service = service
        self._source, self._message, _ = SERVICES[service]
        config: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin = AdminClient(config)
        self._group = Client({**config, "group.id": service})
        self._producer = Producer(config)
        self._ring = keys()
        self._sent_ns = time.time_ns()
        places = [TopicPartition(TEMPLATES.name, number) for number in range(TEMPLATES.partitions)]
        self._templates_from = [
            TopicPartition(place.topic, place.partition, self._group.get_watermark_offsets(place, 10)[1])
            for place in places
        ]
        self._workers: list[subprocess.Popen[bytes]] = []

    def add(self, count: int) -> None:
        """Start workers and return once all partitions are theirs."""
        command = [sys.executable, "-m", "benchmarks.scaling", "--worker", self._service, self._bootstrap]
        self._workers += [subprocess.Popen(command) for _ in range(count)]
        _until(lambda: self._settled(len(self._workers)), f"{len(self._workers)} workers share the topic")

    def kill_one(self) -> None:
        """Kill a worker outright; its partitions go to the others once the group has missed it."""
        worker = self._workers.pop()
        worker.kill()
        worker.wait()

    def _settled(self, members: int) -> bool:
        try:
            group = self._admin.describe_consumer_groups([self._service])[self._service].result(10)
        except (KafkaException, TimeoutError):  # the group is still being made
            return False
        held = [len(member.assignment.topic_partitions) for member in group.members]
        whole = self._source.partitions
        return len(held) == members and sum(held) == whole and min(held) == whole // members

    def send(self, count: int) -> float:
        """Put `count` messages of eight cameras on the topic; return when the first stood there (monotonic, s)."""
        wire, arrived_s = TopicWire[FrameCaptured | FaceFound](self._source, self._ring), list[float]()

        def arrived(error: KafkaError | None, _: Message) -> None:
            assert error is None, error
            arrived_s.append(time.monotonic())

        for number in range(count):
            partition = number % self._source.partitions
            self._sent_ns += FRAME_NS
            message = self._message(camera(partition), self._sent_ns)
            sealed = wire.seal(Out(self._source, camera(partition), message))
            self._producer.produce(
                sealed.topic,
                sealed.value,
                sealed.key,
                partition=partition,
                on_delivery=arrived,
            )
            self._producer.poll(0)
        assert self._producer.flush(TIMEOUT_S) == 0, "not everything was sent"
        return arrived_s[0]

    def until_all_handled(self) -> float:
        """Wait until the group has committed all that stands on the topic; return when (monotonic, s)."""
        _until(lambda: self._behind() == 0, "everything is handled")
        return time.monotonic()

    def _behind(self) -> int:
        places = [TopicPartition(self._source.name, number) for number in range(self._source.partitions)]
        committed = self._group.committed(places, 10)
        ends = [self._group.get_watermark_offsets(place, 10)[1] for place in places]
        return sum(end - max(0, place.offset) for place, end in zip(committed, ends, strict=True))

    def templates(self) -> Iterator[tuple[str, int]]:
        """Yield camera and time of each template since the bench was opened; ends when none came for long."""
        wire = TopicWire[TemplateMade](TEMPLATES, self._ring)
        client = Client({"bootstrap.servers": self._bootstrap, "group.id": "scaling", "log_level": 0})
        client.assign(self._templates_from)
        heard_s = time.monotonic()
        try:
            while time.monotonic() - heard_s < TIMEOUT_S:
                message = client.poll(0.1)
                if message is not None and message.error() is None:
                    heard_s = time.monotonic()
                    record = Record(TEMPLATES.name, 0, 0, message.key() or b"", message.value(), 0)
                    shot = wire.open(record).shot
                    yield shot.camera_id, shot.captured_at_ns
        finally:
            client.close()

    def close(self) -> None:
        """End the workers in order, so that the group knows at once."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                worker.kill()
        self._group.close()


@contextmanager
def bench(bootstrap: str, service: str) -> Iterator[Bench]:
    """Open a bench; its workers end with the block."""
    opened = Bench(bootstrap, service)
    try:
        yield opened
    finally:
        opened.close()


def messages_a_second(bootstrap: str, service: str, workers: int) -> float:
    """Return how many messages `workers` handle a second, from the first on the topic to the last commit."""
    count = MESSAGES_A_WORKER * workers
    with bench(bootstrap, service) as opened:
        opened.add(workers)
        begun_s = opened.send(count)
        return count / (opened.until_all_handled() - begun_s)


def disturbed(bootstrap: str) -> str:
    """Kill one of four embed workers at a third of the way, add one at two thirds; say what became of the faces."""
    count = DISTURBED_MESSAGES
    with bench(bootstrap, "embed") as opened:
        opened.add(4)
        opened.send(count)
        seen: set[tuple[str, int]] = set()
        came, steps = 0, [(count // 3, opened.kill_one), (2 * count // 3, lambda: opened.add(1))]
        for template in opened.templates():
            came += 1
            seen.add(template)
            while steps and len(seen) >= steps[0][0]:
                steps.pop(0)[1]()
            if len(seen) == count:
                break
    return (
        f"{count} faces sent, {len(seen)} came out as templates, {count - len(seen)} lost, "
        f"at least {came - len(seen)} came twice"
    )


def camera(partition: int) -> str:
    """Return the id of the camera whose pictures stand on a partition."""
    return f"cam-{partition}"


def publish_order(bootstrap: str) -> None:
    """Put an order on its topic that covers all cameras."""
    now_s = time.time()
    order = Order(
        deployment_id=DEPLOYMENT,
        revision=1,
        state="active",
        purpose="protective_event",
        place="Nowhere",
        starts_at_s=now_s - 60,
        ends_at_s=now_s + 4 * 3_600,
        camera_ids=tuple(camera(number) for number in range(FRAMES.partitions)),
        watchlist_id="nobody",
        watchlist_size=1,
        fingerprint=INFO.fingerprint,
        threshold=0.5,
        issued_at_s=now_s - 120,
    )
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    producer.produce(DEPLOYMENTS.name, encode(DEPLOYMENTS, sign(order, ORDER_KEY)), DEPLOYMENT.encode())
    assert producer.flush(TIMEOUT_S) == 0, "the order was not sent"


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{TIMEOUT_S:.0f} s were not enough until {what}")
        time.sleep(0.02)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="runs a number of workers (default 3)")
    parser.add_argument("--service", choices=SERVICES, help="only this one, and nobody is killed")
    parser.add_argument("--worker", nargs=2, metavar=("SERVICE", "BOOTSTRAP"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.worker:
        work(*told.worker)
        return
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}"
    )
    print(f"stand-in models: {COST_S * 1000:.0f} ms a picture, {COST_S * 1000:.0f} ms a crop\n")
    print("service  workers  messages/s (median, range)      of one worker")
    with tempfile.TemporaryDirectory() as folder, KafkaServer.start(TOOLS, Path(folder)) as kafka:
        create_topics(kafka.bootstrap, topic_specs())
        publish_order(kafka.bootstrap)
        for service in [told.service] if told.service else SERVICES:
            measure(kafka.bootstrap, service, told.runs)
        if not told.service:
            print(f"\none of four embed workers killed, one added: {disturbed(kafka.bootstrap)}")


def measure(bootstrap: str, service: str, runs: int) -> None:
    """Print the table of one service."""
    alone = 0.0
    for workers in WORKERS:
        rates = [messages_a_second(bootstrap, service, workers) for _ in range(runs)]
        median = statistics.median(rates)
        alone = alone or median
        spread = f"from {min(rates):.1f} to {max(rates):.1f}"
        print(f"{service:7}  {workers:7}  {median:6.1f} ({spread})      {median / alone:.2f} x", flush=True)


if __name__ == "__main__":
    main()
