"""Deployment orders: signed, bounded in time and place, verified by every service on its own."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, get_args

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from overt.contracts.messages import MAX_INTEGER, Cosine, Fingerprint, Identifier
from overt.contracts.reasons import UNDECODABLE, why

Purpose = Literal[
    "crime_hotspot",
    "missing_person_hotspot",
    "protective_critical_infrastructure",
    "protective_event",
    "sought_person_location",
]
OrderState = Literal["active", "stopped", "ended"]
# A deployment goes through these in order, never back.
ORDER_STATES: tuple[OrderState, ...] = get_args(OrderState)
MAX_ORDER_S = 12 * 3600
MAX_ORDER_BYTES = 32_000
MAX_CAMERAS = 64
SIGNATURE_CONTEXT = b"overt order v1\x00"


class OrderRefused(ValueError):
    """An order that must not be obeyed: forged, malformed, replayed or unbounded."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be done: where, when, with which cameras, list, threshold and model.

    `revision` counts every change of the order from 1: an older one never replaces a newer one. Times are
    UNIX seconds, UTC. At most twelve hours (governance: bounded in time).
    """

    deployment_id: Identifier
    revision: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    state: OrderState
    purpose: Purpose
    place: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    starts_at_s: Annotated[float, msgspec.Meta(gt=0)]
    ends_at_s: Annotated[float, msgspec.Meta(gt=0)]
    camera_ids: Annotated[tuple[Identifier, ...], msgspec.Meta(min_length=1, max_length=MAX_CAMERAS)]
    watchlist_id: Identifier
    watchlist_size: Annotated[int, msgspec.Meta(ge=1, le=20_000)]
    fingerprint: Fingerprint
    threshold: Cosine
    issued_at_s: Annotated[float, msgspec.Meta(gt=0)]

    def __post_init__(self) -> None:
        """Refuse an order without an end, or one that is too long."""
        if not self.starts_at_s < self.ends_at_s <= self.starts_at_s + MAX_ORDER_S:
            raise ValueError(f"an order lasts more than 0 and at most {MAX_ORDER_S} s")
        if len(set(self.camera_ids)) != len(self.camera_ids):
            raise ValueError("a camera is named twice")

    def is_active(self, now_s: float) -> bool:
        """Whether work under this order is lawful at `now_s`."""
        return self.state == "active" and self.starts_at_s <= now_s < self.ends_at_s

    def covers(self, camera_id: str, now_s: float) -> bool:
        """Whether `camera_id` may be used under this order at `now_s`."""
        return self.is_active(now_s) and camera_id in self.camera_ids


class SignedOrder(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="signed_order.v1"
):
    """An order's exact bytes and control's Ed25519 signature over them: bytes, so nothing is re-encoded."""

    order_json: Annotated[bytes, msgspec.Meta(max_length=MAX_ORDER_BYTES)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


def sign(order: Order, key: Ed25519PrivateKey) -> SignedOrder:
    """Sign `order`. Raises ValueError for one that no service would obey."""
    order_json = msgspec.json.encode(order, order="deterministic")
    try:
        # Structs check the ranges of their fields only when decoded.
        msgspec.json.decode(order_json, type=Order)
    except UNDECODABLE as error:
        raise ValueError(f"the order is malformed: {why(error, 'json')}") from None
    return SignedOrder(order_json=order_json, signature=key.sign(SIGNATURE_CONTEXT + order_json))


def verify(signed: SignedOrder, key: Ed25519PublicKey) -> Order:
    """Return the order that control signed. Raises OrderRefused."""
    try:
        key.verify(signed.signature, SIGNATURE_CONTEXT + signed.order_json)
        return msgspec.json.decode(signed.order_json, type=Order)
    except InvalidSignature:
        raise OrderRefused("the signature is not control's") from None
    except UNDECODABLE as error:
        raise OrderRefused(f"the order is malformed: {why(error, 'json')}") from None


class OrderBook:
    """The newest lawful revision of every order this process has seen. Fails closed: unknown is refused.

    What has run out stays run out: a clock that is set back brings no order to life again. Not safe to share between threads; each loop owns one.
    """

    def __init__(self, key: Ed25519PublicKey, now_s: Callable[[], float]) -> None:
        self._key = key
        self._now_s = now_s
        self._latest_s = 0.0
        self._orders: dict[str, Order] = {}
        self._first_start_s: dict[str, float] = {}

    def apply(self, signed: SignedOrder) -> Order:
        """Take over an order. Raises OrderRefused for a forged or an older one; the newest may repeat."""
        order = verify(signed, self._key)
        known = self._orders.get(order.deployment_id)
        if known is not None and order.revision < known.revision:
            raise OrderRefused(f"revision {order.revision} is older than {known.revision}: replayed")
        if known is not None and order.revision == known.revision and order != known:
            raise OrderRefused(f"two different orders claim revision {order.revision}")
        if known is not None and ORDER_STATES.index(order.state) < ORDER_STATES.index(known.state):
            raise OrderRefused(f"the deployment is {known.state}: nothing makes it {order.state} again")
        first_s = self._first_start_s.setdefault(order.deployment_id, order.starts_at_s)
        if order.ends_at_s > first_s + MAX_ORDER_S:
            # Else revision after revision could carry one deployment past its twelve hours.
            raise OrderRefused(f"a deployment lasts at most {MAX_ORDER_S} s from its first start")
        self._orders[order.deployment_id] = order
        return order

    def active(self, deployment_id: str) -> Order | None:
        """The order under which work for `deployment_id` is lawful now, or None."""
        order = self._orders.get(deployment_id)
        return order if order is not None and order.is_active(self._time_s()) else None

    def for_camera(self, camera_id: str) -> Order | None:
        """The order under which `camera_id` may capture now, or None; of several the one issued last."""
        now_s = self._time_s()
        lawful = [order for order in self._orders.values() if order.covers(camera_id, now_s)]
        return max(lawful, key=lambda order: (order.issued_at_s, order.deployment_id), default=None)

    def known(self) -> Mapping[str, Order]:
        """Every order, lawful now or not: for pages and logs that say why nothing happens."""
        return dict(self._orders)

    def _time_s(self) -> float:
        self._latest_s = max(self._latest_s, self._now_s())
        return self._latest_s
