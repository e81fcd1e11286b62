"""Says why a camera may not capture now: the log line an operator looks for when nothing happens."""

from collections.abc import Iterable

from overt.contracts.orders import Order


def why_closed(orders: Iterable[Order], camera_id: str, now_s: float) -> str:
    """Return the reason why no order of `orders` covers `camera_id` at `now_s` (UNIX seconds)."""
    naming = [order for order in orders if camera_id in order.camera_ids]
    if not naming:
        return "no deployment order names this camera"
    newest = max(naming, key=lambda order: order.issued_at_s)
    if newest.state != "active":
        return f"the order of deployment {newest.deployment_id} was {newest.state}"
    if now_s < newest.starts_at_s:
        return f"the order of deployment {newest.deployment_id} has not begun"
    return f"the order of deployment {newest.deployment_id} is over"
