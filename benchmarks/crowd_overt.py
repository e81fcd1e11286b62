"""A contender of crowd.py: Overt's own services, from the recording to the templates, with one model pack.

ingest (its decoder is a process of its own), detect and embed run as `overt up` runs them, on the in-process
broker, under a signed order and with encrypted payloads. Nobody is on a list: templates are thrown away.
"""

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from benchmarks.crowd_result import Stopwatch, write
from overt.cli.summary import total
from overt.contracts.codec import encode
from overt.contracts.context import Context
from overt.contracts.messages import TemplateMade
from overt.contracts.orders import Order, sign
from overt.contracts.topics import DEPLOYMENTS, TEMPLATES
from overt.contracts.wire import Out, memory_topics
from overt.detect.service import build as build_detect
from overt.detect.settings import DetectOptions
from overt.embed.service import build as build_embed
from overt.embed.settings import EmbedOptions
from overt.ingest.service import build as build_ingest
from overt.ingest.settings import CameraOptions, IngestOptions
from overt.recognition.detections import LONGEST_SIDE_PX, Detections, FaceDetector
from overt.recognition.errors import RecognitionError
from overt.recognition.pack import Pack, load_pack
from overt.runtime import process
from overt.runtime.clock import SystemClock
from overt.runtime.health import Health
from overt.runtime.keys import KeyRing
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.memory import MemoryBroker
from overt.runtime.process import Runner

DRAIN_CHECK_S = 0.01
# The box of a shot is that of a detection, but for rounding.
SAME_BOX_PX = 0.5


@dataclass
class Watched:
    """The pack's detector, which also notes what it found, in shares of the picture's width."""

    detector: FaceDetector
    watch: Stopwatch
    found: list[Detections] = field(default_factory=list)

    def detect(self, image_HWC: NDArray[np.uint8], *, longest_side_px: int = LONGEST_SIDE_PX) -> Detections:
        """See FaceDetector."""
        return self.detect_batch([image_HWC], longest_side_px=longest_side_px)[0]

    def detect_batch(
        self, images: Sequence[NDArray[np.uint8]], *, longest_side_px: int = LONGEST_SIDE_PX
    ) -> list[Detections]:
        """See FaceDetector."""
        self.watch.start()
        found = self.detector.detect_batch(images, longest_side_px=longest_side_px)
        for image_HWC, faces in zip(images, found, strict=True):
            self.found.append(faces.scaled(1 / image_HWC.shape[1]))
        return found

    def with_score(self, score_threshold: float) -> "Watched":
        """See FaceDetector."""
        return Watched(self.detector.with_score(score_threshold), self.watch, self.found)


def surroundings(pack: Pack) -> tuple[Context, MemoryBroker]:
    """Return a broker, keys and an active order for `camera-1`."""
    clock, order_key, registry = SystemClock(), Ed25519PrivateKey.generate(), CollectorRegistry()
    keys = KeyRing(clock)
    keys.open("d1")
    broker = MemoryBroker(memory_topics(), clock)
    context = Context(
        broker, keys, order_key.public_key(), clock, registry, LoopCollectors(registry), Health()
    )
    order = Order(
        deployment_id="d1",
        revision=1,
        state="active",
        purpose="protective_event",
        place="a measurement",
        starts_at_s=clock.now_s() - 60,
        ends_at_s=clock.now_s() + 3600,
        camera_ids=("camera-1",),
        watchlist_id="w1",
        watchlist_size=1,
        fingerprint=pack.info.fingerprint,
        threshold=0.5,
        issued_at_s=clock.now_s() - 60,
    )
    value = encode(DEPLOYMENTS, sign(order, order_key))
    broker.producer().produce(DEPLOYMENTS.name, order.deployment_id.encode(), value)
    return context, broker


def run(clip: Path, pack: Pack, longest_side_px: int, watch: Stopwatch) -> tuple[list[list[float]], Context]:
    """Play the clip as fast as it is handled; return the boxes of all shots that became templates."""
    context, broker = surroundings(pack)
    boxes: list[list[float]] = []

    def keep(messages: Sequence[TemplateMade]) -> Iterator[Out]:
        for message in messages:
            box = message.shot.box
            boxes.append([box.left, box.top, box.right, box.bottom])
        yield from ()

    camera = CameraOptions(camera_id="camera-1", source=str(clip), live=False)
    ingest = build_ingest(context, IngestOptions(cameras=(camera,)), health=context.health)
    orders = context.orders("match")
    stop = threading.Event()

    def when_all_is_seen(stopped: threading.Event) -> None:
        while not stopped.wait(DRAIN_CHECK_S):
            if ingest.finished.is_set() and broker.is_drained():
                watch.stop()
                stop.set()

    runners: dict[str, Runner] = {
        "detect": build_detect(context, DetectOptions(longest_side_px=longest_side_px), pack),
        "embed": build_embed(context, EmbedOptions(), pack),
        "match": context.loop("match", TEMPLATES, keep, tick=orders.feed.poll).run,
        "once": when_all_is_seen,
        **ingest.runners,
    }
    if process.run(runners, stop=stop, health=context.health) != process.OK:
        raise SystemExit("a service failed")
    return boxes, context


def with_embedded(found: Sequence[Detections], boxes: Sequence[Sequence[float]]) -> list[set[int]]:
    """Return for each frame which of its faces became a template: whose box is that of a shot."""
    embedded: list[set[int]] = [set() for _ in found]
    for box in boxes:
        apart = [
            np.abs(faces.boxes_N4 - np.array(box)).max(axis=1) if len(faces) else np.array([np.inf])
            for faces in found
        ]
        frame = int(np.argmin([one.min() for one in apart]))
        if apart[frame].min() > SAME_BOX_PX:
            raise SystemExit("a shot is of no face that was found")
        embedded[frame].add(int(apart[frame].argmin()))
    return embedded


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pack", required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--longest", type=int, default=LONGEST_SIDE_PX)
    parser.add_argument("--width", type=int, required=True, help="of the clip, pixels")
    options = parser.parse_args()
    try:
        pack = load_pack(options.pack, options.models)
    except RecognitionError as error:
        print(error, file=sys.stderr)
        raise SystemExit(3) from error
    watch = Stopwatch()
    watched = Watched(pack.detector, watch)
    boxes, context = run(options.clip, replace(pack, detector=watched), options.longest, watch)
    frames = total(context.registry, "overt_ingest_frames_read_total")
    if len(watched.found) != frames:
        raise SystemExit(f"{len(watched.found)} looks at {frames} frames: this can't tell which is which")
    found = [faces.scaled(options.width) for faces in watched.found]
    embedded = with_embedded(found, boxes)
    least = DetectOptions().shot_score
    write(
        options.out,
        watch,
        [
            [
                [*box.tolist(), *points.ravel().tolist(), float(score), float(index in chosen)]
                for index, (box, points, score) in enumerate(
                    zip(faces.boxes_N4, faces.landmarks_N52, faces.scores_N, strict=True)
                )
                if score >= least
            ]
            for faces, chosen in zip(found, embedded, strict=True)
        ],
        templates=len(boxes),
    )


if __name__ == "__main__":
    main()
