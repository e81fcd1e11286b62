"""The watchlists in Milvus; that it is away is said in the loop's words, which tries again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overt.contracts.orders import Order
from overt.recognition.errors import GalleryUnavailable
from overt.recognition.gallery import Gallery, Hit
from overt.recognition.protect import Rotation
from overt.runtime.loop import Unavailable


class GalleryWatchlists:
    """See overt.match.core.Watchlists."""

    def __init__(self, gallery: Gallery, *, max_candidates: int) -> None:
        self._gallery = gallery
        self._max_candidates = max_candidates

    def search(
        self,
        order: Order,
        probes_ND: NDArray[np.float32],
        rotation: Rotation,
    ) -> Sequence[Sequence[Hit]]:
        """Search the order's list. Raises Unavailable when Milvus is away, and what else Gallery.search does."""
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
            raise Unavailable(str(error)) from error
