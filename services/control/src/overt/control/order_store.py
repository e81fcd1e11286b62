"""Every revision of every order, as signed, and which of them still have to be published."""

from collections.abc import Sequence

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from overt.contracts.orders import Order, SignedOrder
from overt.control.tables import OrderRow


class OrderStore:
    """Orders by deployment. Rows are only ever added; the primary key refuses a second equal revision."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, order: Order, signed: SignedOrder) -> None:
        """Keep a new revision, still to be published."""
        with Session(self._engine) as session, session.begin():
            session.add(
                OrderRow(
                    deployment_id=order.deployment_id,
                    revision=order.revision,
                    watchlist_id=order.watchlist_id,
                    order_json=signed.order_json,
                    signature=signed.signature,
                )
            )

    def newest(self) -> Sequence[SignedOrder]:
        """The newest revision of every order, by deployment id."""
        last = (
            select(OrderRow.deployment_id, func.max(OrderRow.revision).label("revision"))
            .group_by(OrderRow.deployment_id)
            .subquery()
        )
        query = (
            select(OrderRow)
            .join(
                last,
                (OrderRow.deployment_id == last.c.deployment_id) & (OrderRow.revision == last.c.revision),
            )
            .order_by(OrderRow.deployment_id)
        )
        with Session(self._engine) as session:
            return [_signed(row) for row in session.scalars(query)]

    def unpublished(self) -> Sequence[tuple[str, int, SignedOrder]]:
        """What has to be published still: (deployment id, revision, signed order), older ones first."""
        query = (
            select(OrderRow)
            .where(OrderRow.published_at_s.is_(None))
            .order_by(OrderRow.deployment_id, OrderRow.revision)
        )
        with Session(self._engine) as session:
            return [(row.deployment_id, row.revision, _signed(row)) for row in session.scalars(query)]

    def mark_published(self, deployment_id: str, revision: int, at_s: float) -> None:
        """Note that the broker has confirmed this revision."""
        this = (OrderRow.deployment_id == deployment_id) & (OrderRow.revision == revision)
        with Session(self._engine) as session, session.begin():
            session.execute(update(OrderRow).where(this).values(published_at_s=at_s))


def _signed(row: OrderRow) -> SignedOrder:
    return SignedOrder(order_json=row.order_json, signature=row.signature)
