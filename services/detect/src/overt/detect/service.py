"""Wires the detect service: its order book, its core and its loop over `frames.v1`."""

import secrets
from collections.abc import Callable

from overt.contracts.context import Context
from overt.contracts.topics import FRAMES
from overt.detect.core import DetectCore
from overt.detect.metrics import DetectMetrics
from overt.detect.settings import DetectOptions
from overt.detect.sighting import Making
from overt.detect.view import CameraView
from overt.recognition.pack import Pack
from overt.runtime.process import Runner

TRACK_ID_BYTES = 6


def build(
    context: Context,
    options: DetectOptions,
    pack: Pack,
    new_track_id: Callable[[], str] = lambda: secrets.token_hex(TRACK_ID_BYTES),
) -> Runner:
    """Return the runner that looks for faces with `pack` until it is stopped."""
    orders = context.orders("detect")
    # A face that is too doubtful to be searched for is still a face to blur.
    finder = pack.detector.with_score(options.blur_score)
    core = DetectCore(
        pack.info,
        Making(pack.aligner, finder, options.longest_side_px),
        new_view=lambda camera_id: CameraView(options.zones.of(camera_id), options, new_track_id),
        orders=orders.book,
        clock=context.clock,
        metrics=DetectMetrics(context.registry),
        freshness_s=options.freshness_s,
    )
    return context.loop("detect", FRAMES, core.handle, tick=orders.feed.poll).run
