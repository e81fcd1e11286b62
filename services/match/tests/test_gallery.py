"""The adapter asks again when Milvus does not answer, a few times, and passes on the rest at once."""

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from overt.match.gallery import GalleryWatchlists, Retry
from overt.recognition.errors import GalleryError, GalleryUnavailable, WatchlistMissing
from overt.recognition.gallery import Gallery, Hit
from overt.recognition.protect import Rotation

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


def watchlists(gallery: FailingGallery, pauses_s: list[float]) -> GalleryWatchlists:
    retry = Retry(attempts=3, first_pause_s=0.2, sleep=pauses_s.append)
    return GalleryWatchlists(cast("Gallery", gallery), max_candidates=5, retry=retry)


def test_a_search_asks_for_the_orders_list_pack_and_threshold() -> None:
    gallery = FailingGallery()
    assert watchlists(gallery, []).search(ORDER, PROBES, ROTATION) == [[Hit("e1", 0.9)]]
    assert gallery.asked == [("w1", OWN, 1, True, 0.5, 5)]


def test_a_gallery_that_does_not_answer_is_asked_again_after_growing_pauses() -> None:
    gallery, pauses_s = FailingGallery(GalleryUnavailable("down"), GalleryUnavailable("down")), list[float]()
    with capture_logs() as logs:
        assert watchlists(gallery, pauses_s).search(ORDER, PROBES, ROTATION) == [[Hit("e1", 0.9)]]
    assert pauses_s == [0.2, 0.4]
    assert [line["log_level"] for line in logs] == ["warning", "warning"]


def test_a_gallery_that_stays_away_is_given_up() -> None:
    gallery, pauses_s = FailingGallery(*[GalleryUnavailable("down")] * 9), list[float]()
    with pytest.raises(GalleryUnavailable):
        watchlists(gallery, pauses_s).search(ORDER, PROBES, ROTATION)
    assert len(gallery.asked) == 3


def test_a_list_that_is_not_there_is_not_asked_for_again() -> None:
    gallery, pauses_s = FailingGallery(WatchlistMissing("gone")), list[float]()
    with pytest.raises(WatchlistMissing):
        watchlists(gallery, pauses_s).search(ORDER, PROBES, ROTATION)
    assert len(gallery.asked) == 1
    assert pauses_s == []
