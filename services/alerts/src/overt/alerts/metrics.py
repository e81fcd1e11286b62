"""What the alerts service measures, each declared once with its meaning."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from overt.alerts.database import DatabaseAway


class AlertMetrics:
    """The collectors of one registry."""

    def __init__(self, registry: CollectorRegistry, count_pending: Callable[[], int]) -> None:
        self.raised = Counter("overt_alerts_raised_total", "Alerts raised.", registry=registry)
        self.latency = Histogram(
            "overt_alerts_capture_to_alert_seconds",
            "From the moment a frame was decoded to the moment its alert was stored.",
            buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
            registry=registry,
        )
        self.matches = Counter(
            "overt_alerts_matches_total",
            "Matches by what they did: raised, strengthened, counted, repeated (a redelivery), or dropped: "
            "no_order, outside_order, key_gone.",
            ["outcome"],
            registry=registry,
        )
        self.judgements = Counter(
            "overt_alerts_judgements_total",
            "Judgements and outcomes by the state that they led to.",
            ["state"],
            registry=registry,
        )
        self.escalated = Counter(
            "overt_alerts_escalated_total",
            "Times that an alert waited for a judgement past the deadline.",
            registry=registry,
        )
        unjudged = Gauge("overt_alerts_unjudged", "Alerts that await a judgement.", registry=registry)
        unjudged.set_function(lambda: _or_unknown(count_pending))


def _or_unknown(count: Callable[[], int]) -> float:
    try:
        return float(count())
    except DatabaseAway:
        return math.nan
