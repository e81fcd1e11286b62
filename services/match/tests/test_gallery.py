"""The adapter asks for what the order names, and says in the loop's words that Milvus is away."""

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.match.gallery import GalleryWatchlists
from overt.recognition.errors import GalleryError, GalleryUnavailable, WatchlistMissing
from overt.recognition.gallery import Gallery, Hit
from overt.recognition.protect import Rotation
from overt.runtime.loop import Unavailable

from .conftest import ORDER, OWN, direction

ROTATION = Rotation(np.eye(4))
PROBES = direction(0.9)[None]


class FailingGallery:
    """Raises each of `failures` once, then answers; keeps what it was asked."""

    def __init__(self, *failures: GalleryError) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[object, ...]] = []

    def search(
        self,
        watchlist_id: str,
        fingerprint: str,
        probes_ND: NDArray[np.float32],
        *,
        rotation: Rotation,
        threshold: float,
        limit: int,
    ) -> list[list[Hit]]:
        self.asked.append((watchlist_id, fingerprint, len(probes_ND), rotation is ROTATION, threshold, limit))
        if self.failures:
            raise self.failures.pop(0)
        return [[Hit("e1", 0.9)]]


def watchlists(gallery: FailingGallery) -> GalleryWatchlists:
    return GalleryWatchlists(cast("Gallery", gallery), max_candidates=5)


def test_a_search_asks_for_the_orders_list_pack_and_threshold() -> None:
    gallery = FailingGallery()
    assert watchlists(gallery).search(ORDER, PROBES, ROTATION) == [[Hit("e1", 0.9)]]
    assert gallery.asked == [("w1", OWN, 1, True, 0.5, 5)]


def test_a_gallery_that_does_not_answer_is_unavailable_with_its_reason() -> None:
    gallery = FailingGallery(GalleryUnavailable("down"))
    with pytest.raises(Unavailable, match="down"):
        watchlists(gallery).search(ORDER, PROBES, ROTATION)
    assert watchlists(gallery).search(ORDER, PROBES, ROTATION) == [[Hit("e1", 0.9)]]


def test_a_list_that_is_not_there_is_no_outage() -> None:
    with pytest.raises(WatchlistMissing):
        watchlists(FailingGallery(WatchlistMissing("gone"))).search(ORDER, PROBES, ROTATION)
