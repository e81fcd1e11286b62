"""The life of an order: issued, stopped, ended, each a signed revision that is kept first and published then."""

import threading
from dataclasses import dataclass

import msgspec
import structlog

from overt.contracts.codec import encode
from overt.contracts.orders import Order, OrderState
from overt.contracts.topics import DEPLOYMENTS
from overt.control.errors import DraftRefused
from overt.control.keys import ControlKeys
from overt.control.metrics import ControlMetrics
from overt.control.policy import Facts, OrderDraft, WatchlistFacts, broken_rules
from overt.control.register import OrderRegister, Pending
from overt.runtime.broker import BrokerError, Producer
from overt.runtime.clock import Clock

log = structlog.get_logger()

PUBLISH_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the loaded pack was tested for, at one list size; `threshold_floor` None: not at all."""

    fingerprint: str
    threshold_floor: float | None


class Deployments:
    """Issues, stops and ends orders. `lock` is shared with the watchlists: a list can't grow under an order."""

    def __init__(
        self,
        register: OrderRegister,
        keys: ControlKeys,
        *,
        producer: Producer,
        clock: Clock,
        metrics: ControlMetrics,
    ) -> None:
        self._register = register
        self._keys = keys
        self._producer = producer
        self._clock = clock
        self._metrics = metrics
        self.lock = threading.RLock()

    def restore(self) -> None:
        """After a start: new epochs for what runs, lasting keys for what is over, everything told again."""
        with self.lock:
            for order in self._register.current().values():
                if order.state == "active" and self._clock.now_s() < order.ends_at_s:
                    self._keys.open_deployment(order.deployment_id)
                else:
                    self._keys.restore_closed(order.deployment_id)
            for pending in self._register.newest_signed():
                self._send(pending)
            self._confirm(self._register.unpublished())

    def issue(self, draft: OrderDraft, watchlist: WatchlistFacts | None, evidence: Evidence) -> Order:
        """Make `draft` an order, sign it, open its keys, publish it. Raises DraftRefused with every reason."""
        with self.lock:
            facts = Facts(
                now_s=self._clock.now_s(),
                known_deployment=draft.deployment_id in self._register.current(),
                watchlist=watchlist,
                fingerprint=evidence.fingerprint,
                threshold_floor=evidence.threshold_floor,
            )
            reasons = broken_rules(draft, facts)
            if reasons or watchlist is None:
                raise DraftRefused(reasons)
            order = _first_revision(draft, watchlist, facts.now_s)
            self._register.add(order)
            self._keys.open_deployment(order.deployment_id)
            self.publish_or_leave()
            log.info("order issued", deployment_id=order.deployment_id, cameras=len(order.camera_ids))
            return order

    def stop(self, deployment_id: str) -> Order:
        """Stop capture: epoch keys go first, so nothing more can be sealed or read whatever the broker does.

        That does not wait for the lock, which a broker that hangs may hold. An order that is stopped or over
        stays as it is. Raises Unknown.
        """
        self._register.get(deployment_id)
        self._keys.close_deployment(deployment_id)
        with self.lock:
            order = self._register.get(deployment_id)
            return self._change(order, "stopped") if order.state == "active" else order

    def end(self, deployment_id: str) -> Order:
        """End a deployment for good, epoch keys first as in `stop`; one that is over stays as it is.

        Raises Unknown.
        """
        self._register.get(deployment_id)
        self._keys.close_deployment(deployment_id)
        with self.lock:
            order = self._register.get(deployment_id)
            return order if order.state == "ended" else self._change(order, "ended")

    def end_what_is_over(self) -> tuple[str, ...]:
        """End every order whose time has passed; returns which."""
        with self.lock:
            now_s = self._clock.now_s()
            over = [
                o for o in self._register.current().values() if o.state != "ended" and o.ends_at_s <= now_s
            ]
            return tuple(self._change(order, "ended").deployment_id for order in over)

    def publish_pending(self) -> None:
        """Publish what the broker has not confirmed yet. Raises BrokerError."""
        with self.lock:
            pending = self._register.unpublished()
            if pending:
                for one in pending:
                    self._send(one)
                self._confirm(pending)

    def publish_or_leave(self) -> int:
        """Publish now if the broker takes it; else the runner tries again. The order stands either way.

        Returns how many revisions are still to be published.
        """
        try:
            self.publish_pending()
        except BrokerError as error:
            log.error("order not published yet", reason=str(error))  # noqa: TRY400 - one line
        left = len(self._register.unpublished())
        self._metrics.orders_unpublished.set(left)
        return left

    def _change(self, order: Order, state: OrderState) -> Order:
        self._keys.close_deployment(order.deployment_id)
        changed = msgspec.structs.replace(
            order, state=state, revision=order.revision + 1, issued_at_s=self._clock.now_s()
        )
        self._register.add(changed)
        self.publish_or_leave()
        log.info("order changed", deployment_id=order.deployment_id, state=state, revision=changed.revision)
        return changed

    def _send(self, pending: Pending) -> None:
        value = encode(DEPLOYMENTS, pending.signed)
        self._producer.produce(DEPLOYMENTS.name, pending.deployment_id.encode(), value)

    def _confirm(self, sent: tuple[Pending, ...]) -> None:
        self._producer.flush(PUBLISH_TIMEOUT_S)
        for pending in sent:
            self._register.mark_published(pending, self._clock.now_s())


def _first_revision(draft: OrderDraft, watchlist: WatchlistFacts, now_s: float) -> Order:
    order = Order(
        deployment_id=draft.deployment_id,
        revision=1,
        state="active",
        purpose=draft.purpose,
        place=draft.place.strip(),
        starts_at_s=draft.starts_at_s,
        ends_at_s=draft.ends_at_s,
        camera_ids=draft.camera_ids,
        watchlist_id=draft.watchlist_id,
        watchlist_size=watchlist.size,
        fingerprint=watchlist.fingerprint,
        threshold=draft.threshold,
        issued_at_s=now_s,
    )
    # Structs check their fields only when decoded: what is signed must be readable by every service.
    try:
        return msgspec.json.decode(msgspec.json.encode(order), type=Order)
    except msgspec.ValidationError as error:
        raise DraftRefused((str(error),)) from None
