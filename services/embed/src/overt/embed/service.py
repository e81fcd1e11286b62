"""Wires the embed service: its order book, its core and its loop over `faces.v1`."""

from overt.contracts.context import Context
from overt.contracts.topics import FACES
from overt.embed.core import EmbedCore
from overt.embed.metrics import EmbedMetrics
from overt.embed.settings import EmbedOptions
from overt.embed.tracks import Tracks
from overt.recognition.pack import Pack
from overt.runtime.loop import LoopLimits
from overt.runtime.process import Runner


def build(context: Context, options: EmbedOptions, pack: Pack) -> Runner:
    """Return the runner that embeds with `pack` until it is stopped."""
    orders = context.orders("embed")
    metrics = EmbedMetrics(context.registry)
    tracks = Tracks(context.clock.monotonic_s)
    core = EmbedCore(pack.info, pack.embedder, orders=orders.book, metrics=metrics, tracks=tracks)
    limits = LoopLimits(max_batch=options.max_batch)
    return context.loop("embed", FACES, core.handle, tick=orders.feed.poll, limits=limits).run
