"""What control counts, declared once with its meaning."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ControlMetrics:
    """Control's collectors. No label ever names a person, an entry or a file."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pictures = Counter(
            "overt_control_pictures_total",
            "Reference pictures by outcome: enrolled, unchanged (imported before), refused.",
            ["outcome"],
            registry=registry,
        )
        self.orders_unpublished = Gauge(
            "overt_control_orders_unpublished",
            "Revisions of orders that the broker has not confirmed yet.",
            registry=registry,
        )
        self.orders_active = Gauge(
            "overt_control_orders_active",
            "Orders under which capture is lawful now.",
            registry=registry,
        )
        self.keys_held = Gauge(
            "overt_control_keys",
            "Data keys that exist in memory now.",
            registry=registry,
        )
        self.key_requests = Counter(
            "overt_control_key_requests_total",
            "Requests for keys by service and answer: given, gone, denied.",
            ["service", "answer"],
            registry=registry,
        )
