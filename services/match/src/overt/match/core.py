"""Decides what a template may be searched in, and what of the answer leaves: matches, or nothing at all."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from overt.contracts.messages import Candidate, MatchMade, TemplateMade
from overt.contracts.orders import Order, OrderBook
from overt.contracts.topics import MATCHES
from overt.contracts.wire import Out
from overt.match.metrics import MatchMetrics
from overt.recognition.errors import GalleryError, WatchlistMissing
from overt.recognition.fusion import LEAST_LENGTH
from overt.recognition.gallery import Hit
from overt.recognition.protect import Rotation
from overt.runtime.envelope import DataKey
from overt.runtime.keys import KeyGone, KeySource

log = structlog.get_logger()

Refusal = Literal["no_order", "other_camera", "other_fingerprint", "key_gone", "no_watchlist"]
PROBE_HASH_INFO = b"overt probe hash"


class Watchlists(Protocol):
    """Where the references are: `gallery.py` is the one over Milvus."""

    def search(
        self,
        order: Order,
        probes_ND: NDArray[np.float32],
        rotation: Rotation,
    ) -> Sequence[Sequence[Hit]]:
        """Return for each probe the entries at or above the order's threshold, the best first.

        Raises GalleryError for what can't be compared, Unavailable when the list can't be asked now.
        """


class MatchCore:
    """Searches the probes of each deployment together. Not safe to share between threads."""

    def __init__(
        self,
        watchlists: Watchlists,
        *,
        keys: KeySource,
        orders: OrderBook,
        metrics: MatchMetrics,
    ) -> None:
        self._watchlists = watchlists
        self._keys = keys
        self._orders = orders
        self._metrics = metrics
        self._rotations: dict[str, tuple[str, int, Rotation]] = {}
        self._told: set[tuple[str, str]] = set()

    def handle(self, messages: Sequence[TemplateMade]) -> Iterator[Out]:
        """Yield one match a probe that has a candidate at or above the threshold; the rest leaves no trace.

        A redelivered batch gives the same matches again, probe hash included: the fold of alerts counts
        them once. Raises Unavailable, from the keys or the watchlists: the same batch may be handled again.
        """
        self._forget_rotations()
        probes: dict[tuple[str, int], list[TemplateMade]] = {}
        refused: list[Refusal] = []
        for template in messages:
            refusal = self._refusal(template)
            if refusal is None:
                probes.setdefault((template.deployment_id, template.dimension), []).append(template)
            else:
                refused.append(refusal)
        for (deployment_id, _), templates in probes.items():
            order = self._orders.active(deployment_id)
            if order is None:  # ended while the others were searched
                self._drop(len(templates), "no_order")
                continue
            yield from self._search(order, templates)
        # Last, so that a batch that is handled again while Milvus is away counts once.
        for refusal in refused:
            self._drop(1, refusal)

    def _refusal(self, template: TemplateMade) -> Refusal | None:
        order = self._orders.active(template.deployment_id)
        if order is None:
            return "no_order"
        if template.shot.camera_id not in order.camera_ids:
            return "other_camera"
        if template.fingerprint != order.fingerprint:
            reason = f"the order names pack {order.fingerprint}, the template {template.fingerprint}"
            self._tell_once("templates of another model pack are refused", order, reason)
            return "other_fingerprint"
        return None

    def _drop(self, count: int, reason: Refusal) -> None:
        self._metrics.dropped.labels(reason).inc(count)

    def _tell_once(self, event: str, order: Order, reason: str) -> None:
        if (event, order.deployment_id) not in self._told:
            self._told.add((event, order.deployment_id))
            log.error(event, deployment_id=order.deployment_id, reason=reason)

    def _search(self, order: Order, templates: Sequence[TemplateMade]) -> Iterator[Out]:
        try:
            seal = _probe_hash_key(self._keys.current(order.deployment_id, "lasting"))
            rotation = self._rotation(order.watchlist_id, templates[0].dimension)
        except KeyGone:
            # Erasure has begun: there is nothing left that could lawfully be matched.
            self._drop(len(templates), "key_gone")
            return
        probes = [_probe(template) for template in templates]
        probes_ND = np.stack([probe.direction_D for probe in probes])
        try:
            found = self._watchlists.search(order, probes_ND, rotation)
        except WatchlistMissing as error:
            # Erased, or never enrolled with this pack. Others' deployments go on, this one is told about.
            self._drop(len(templates), "no_watchlist")
            self._tell_once("the watchlist of an active order is not in the gallery", order, str(error))
            return
        except GalleryError as error:
            # Never compared, never retried: another pack's list, or templates of another size.
            self._drop(len(templates), "other_fingerprint")
            self._tell_once("the watchlist was enrolled with another model pack", order, str(error))
            return
        self._metrics.searches.inc(len(templates))
        for template, probe, candidates in zip(templates, probes, found, strict=True):
            # The gallery computes in float32: what it puts at the threshold may be a hair below it.
            hits = [hit for hit in map(probe.of, candidates) if hit.similarity >= order.threshold]
            if hits:
                self._metrics.matches.inc()
                match = _match(order, template, hits, seal)
                yield Out(MATCHES, f"{order.deployment_id}/{match.candidates[0].entry_id}", match)

    def _rotation(self, watchlist_id: str, dimension: int) -> Rotation:
        key = self._keys.current(f"watchlist.{watchlist_id}", "lasting")
        held = self._rotations.get(watchlist_id)
        if held is None or held[:2] != (key.key_id, dimension):
            held = (key.key_id, dimension, Rotation.from_key(key.secret, dimension))
            self._rotations[watchlist_id] = held
        return held[2]

    def _forget_rotations(self) -> None:
        known = self._orders.known()
        lawful = {order.watchlist_id for name, order in known.items() if self._orders.active(name)}
        for watchlist_id in self._rotations.keys() - lawful:
            del self._rotations[watchlist_id]


def _probe_hash_key(key: DataKey) -> bytes:
    # A key of its own: the deployment's lasting key also seals the matches.
    return HKDF(hashes.SHA256(), 32, salt=None, info=PROBE_HASH_INFO).derive(key.secret)


@dataclass(frozen=True, slots=True)
class _Probe:
    """What is searched with: a unit vector, and what its cosines are multiplied by to be similarities."""

    direction_D: NDArray[np.float32]
    length: float

    def of(self, hit: Hit) -> Hit:
        return Hit(hit.entry_id, hit.similarity * self.length)


def _probe(template: TemplateMade) -> _Probe:
    """Return the look alone or, if its track is there, what gives the mean of both cosines in one search.

    (s.g + f.g) / 2 is the inner product of an entry g with the mean of look s and track f. It is searched by its
    direction, with cosines that are at least the means: at one threshold none is missed. See ADR 16.
    """
    look_D = np.frombuffer(template.template, "<f4")
    if template.fused is None:
        return _Probe(look_D, 1.0)
    mean_D = (look_D.astype(np.float64) + np.frombuffer(template.fused, "<f4")) / 2
    length = float(np.linalg.norm(mean_D))
    if length < LEAST_LENGTH:  # opposite: no track of this look, whatever the message says
        return _Probe(look_D, 1.0)
    return _Probe((mean_D / length).astype(np.float32), length)


def _match(order: Order, template: TemplateMade, hits: Sequence[Hit], seal: bytes) -> MatchMade:
    # Rounding may put the cosine of equal vectors a hair above 1, which no cosine is.
    candidates = tuple(Candidate(hit.entry_id, min(float(hit.similarity), 1.0)) for hit in hits)
    return MatchMade(
        deployment_id=order.deployment_id,
        watchlist_id=order.watchlist_id,
        fingerprint=order.fingerprint,
        threshold=order.threshold,
        candidates=candidates,
        probe_hash=hmac.new(seal, template.shot.crop_rgb, hashlib.sha256).hexdigest(),
        shot=template.shot,
    )
