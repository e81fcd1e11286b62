"""Wires the match service: its order book, its core and its loop over `templates.v1`."""

from overt.contracts.context import Context
from overt.contracts.topics import TEMPLATES
from overt.match.core import MatchCore
from overt.match.gallery import GalleryWatchlists
from overt.match.metrics import MatchMetrics
from overt.match.settings import MatchOptions
from overt.recognition.gallery import Gallery
from overt.runtime.loop import LoopLimits
from overt.runtime.process import Runner


def build(context: Context, options: MatchOptions, gallery: Gallery) -> Runner:
    """Return the runner that searches in `gallery` until it is stopped; the gallery stays the caller's."""
    orders = context.orders("match")
    core = MatchCore(
        GalleryWatchlists(gallery, max_candidates=options.max_candidates),
        keys=context.keys,
        orders=orders.book,
        metrics=MatchMetrics(context.registry),
    )
    limits = LoopLimits(max_batch=options.max_batch)
    return context.loop("match", TEMPLATES, core.handle, tick=orders.feed.poll, limits=limits).run
