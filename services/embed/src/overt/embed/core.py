"""Decides which crops may become templates and makes them, a batch at a time."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from overt.contracts.messages import FaceFound, TemplateMade
from overt.contracts.orders import OrderBook
from overt.contracts.topics import TEMPLATES
from overt.contracts.wire import Out
from overt.embed.metrics import EmbedMetrics
from overt.embed.tracks import TrackKey, Tracks
from overt.recognition.pack import PackInfo

log = structlog.get_logger()

Refusal = Literal["no_order", "other_camera", "other_fingerprint", "other_crop_size"]


class Embedder(Protocol):
    """What is asked of a pack's embedder; one a model pack."""

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return one unit row a crop."""


class EmbedCore:
    """Makes the templates of one model pack. Not safe to share between threads.

    `tracks` is what it remembers between batches: the looks at the faces in view. Crops are keyed by camera,
    so one member of the group sees all of a camera's; after a rebalance or a crash a track begins anew.
    """

    def __init__(
        self, info: PackInfo, embedder: Embedder, *, orders: OrderBook, metrics: EmbedMetrics, tracks: Tracks
    ) -> None:
        self._info = info
        self._embedder = embedder
        self._orders = orders
        self._metrics = metrics
        self._tracks = tracks
        self._told: set[str] = set()

    def handle(self, messages: Sequence[FaceFound]) -> Iterator[Out]:
        """Yield one template a lawful crop, keyed by its camera; what is refused is counted by reason.

        The same crops give the same templates again, fused ones too, so a redelivered batch is harmless.
        Also to be called with nothing: what is remembered is forgotten as time passes and orders end.
        """
        self._tracks.forget(self._is_lawful)
        faces = [face for face in messages if self._may_embed(face)]
        if not faces:
            return
        templates_ND = self._embedder.embed(np.stack([self._crop(face) for face in faces]))
        for face, template in zip(faces, templates_ND, strict=True):
            if not np.isfinite(template).all():
                self._metrics.dropped.labels("not_finite").inc()
                continue
            self._metrics.templates.inc()
            yield Out(TEMPLATES, face.shot.camera_id, self._message(face, template))

    def _is_lawful(self, track: TrackKey) -> bool:
        order = self._orders.active(track.deployment_id)
        return order is not None and track.camera_id in order.camera_ids

    def _may_embed(self, face: FaceFound) -> bool:
        refusal = self._refusal(face)
        if refusal is None:
            return True
        self._metrics.dropped.labels(refusal).inc()
        if refusal == "other_fingerprint":
            self._tell_once(face)
        return False

    def _refusal(self, face: FaceFound) -> Refusal | None:
        order = self._orders.active(face.deployment_id)
        if order is None:
            return "no_order"
        if face.shot.camera_id not in order.camera_ids:
            return "other_camera"
        if not face.fingerprint == order.fingerprint == self._info.fingerprint:
            return "other_fingerprint"
        if face.shot.crop_side_px != self._info.crop_size_px:
            return "other_crop_size"
        return None

    def _tell_once(self, face: FaceFound) -> None:
        if face.fingerprint in self._told:
            return
        self._told.add(face.fingerprint)
        log.error(
            "crops of another model pack are refused",
            deployment_id=face.deployment_id,
            crop_fingerprint=face.fingerprint,
            own_fingerprint=self._info.fingerprint,
        )

    @staticmethod
    def _crop(face: FaceFound) -> NDArray[np.uint8]:
        side_px = face.shot.crop_side_px
        return np.frombuffer(face.shot.crop_rgb, np.uint8).reshape(side_px, side_px, 3)

    def _message(self, face: FaceFound, template: NDArray[np.float32]) -> TemplateMade:
        fused = self._tracks.add(face, template)
        self._metrics.fused.inc(fused is not None)
        return TemplateMade(
            deployment_id=face.deployment_id,
            fingerprint=self._info.fingerprint,
            dimension=self._info.dimension,
            template=template.astype("<f4").tobytes(),
            shot=face.shot,
            fused=None if fused is None else fused.astype("<f4").tobytes(),
        )
