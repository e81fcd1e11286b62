"""The watchlists in Milvus, asked again a few times when they do not answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from overt.contracts.orders import Order
from overt.recognition.errors import GalleryUnavailable
from overt.recognition.gallery import Gallery, Hit
from overt.recognition.protect import Rotation

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failing search is made, with a pause that doubles from `first_pause_s`."""

    attempts: int = 4
    first_pause_s: float = 0.2
    sleep: Callable[[float], None] = time.sleep


class GalleryWatchlists:
    """See overt.match.core.Watchlists."""

    def __init__(self, gallery: Gallery, *, max_candidates: int, retry: Retry = Retry()) -> None:
        self._gallery = gallery
        self._max_candidates = max_candidates
        self._retry = retry

    def search(
        self,
        order: Order,
        probes_ND: NDArray[np.float32],
        rotation: Rotation,
    ) -> Sequence[Sequence[Hit]]:
        """Search the order's list. Raises GalleryUnavailable after the last attempt; others at once."""
        pause_s = self._retry.first_pause_s
        for attempt in range(1, self._retry.attempts + 1):
            try:
                return self._gallery.search(
                    order.watchlist_id,
                    order.fingerprint,
                    probes_ND,
                    rotation=rotation,
                    threshold=order.threshold,
                    limit=self._max_candidates,
                )
            except GalleryUnavailable as error:
                if attempt == self._retry.attempts:
                    raise
                log.warning("the gallery does not answer, asking again", attempt=attempt, reason=str(error))
                self._retry.sleep(pause_s)
                pause_s *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")
