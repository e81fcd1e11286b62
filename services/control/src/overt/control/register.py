"""What stands now: the newest revision of every order, from the database, verified."""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from overt.contracts.orders import Order, OrderRefused, SignedOrder, sign, verify
from overt.control.errors import KeyStoreError, Unknown
from overt.control.order_store import OrderStore


@dataclass(frozen=True, slots=True)
class Pending:
    """A revision that the broker has not confirmed yet."""

    deployment_id: str
    revision: int
    signed: SignedOrder


class OrderRegister:
    """Signs and keeps orders. Not safe to share between threads without the lock of its owner."""

    def __init__(self, store: OrderStore, signing_key: Ed25519PrivateKey) -> None:
        self._store = store
        self._signing_key = signing_key
        self.public_key: Ed25519PublicKey = signing_key.public_key()
        self._orders = {order.deployment_id: order for order in map(self._verified, store.newest())}

    def current(self) -> Mapping[str, Order]:
        """The newest revision of every order, by deployment id."""
        return dict(self._orders)

    def get(self, deployment_id: str) -> Order:
        """The newest revision of one order. Raises Unknown."""
        if deployment_id not in self._orders:
            raise Unknown(f"there is no deployment {deployment_id}")
        return self._orders[deployment_id]

    def on_watchlist(self, watchlist_id: str, *, running: bool) -> tuple[str, ...]:
        """Deployments that name a list; `running`: only those that have not ended (stopped ones count)."""
        return tuple(
            order.deployment_id
            for order in self._orders.values()
            if order.watchlist_id == watchlist_id and not (running and order.state == "ended")
        )

    def add(self, order: Order) -> None:
        """Sign a new revision and keep it."""
        self._store.add(order, sign(order, self._signing_key))
        self._orders[order.deployment_id] = order

    def newest_signed(self) -> tuple[Pending, ...]:
        """Every order at its newest revision: what a broker that forgot is told again."""
        found = []
        for signed in self._store.newest():
            order = self._verified(signed)
            found.append(Pending(order.deployment_id, order.revision, signed))
        return tuple(found)

    def unpublished(self) -> tuple[Pending, ...]:
        """What the broker has not confirmed, older revisions first."""
        return tuple(Pending(*row) for row in self._store.unpublished())

    def mark_published(self, pending: Pending, at_s: float) -> None:
        """Note that the broker has confirmed a revision."""
        self._store.mark_published(pending.deployment_id, pending.revision, at_s)

    def _verified(self, signed: SignedOrder) -> Order:
        try:
            return verify(signed, self.public_key)
        except OrderRefused as error:
            raise KeyStoreError(f"a stored order was not signed with this signing key: {error}") from None
