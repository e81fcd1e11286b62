"""What the match service counts, declared once with its meaning."""

from prometheus_client import CollectorRegistry, Counter


class MatchMetrics:
    """The collectors of one registry. No label ever names a person, an entry or a list."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.searches = Counter(
            "overt_match_searches_total", "Probes searched in a watchlist.", registry=registry
        )
        self.matches = Counter(
            "overt_match_matches_total",
            "Searches with a candidate at or above the order's threshold.",
            registry=registry,
        )
        self.dropped = Counter(
            "overt_match_templates_dropped_total",
            "Templates dropped without a search, by reason: no_order (none active), other_camera (not "
            "covered by the order), other_fingerprint (made by another model pack than the order names), "
            "key_gone (the list's or the deployment's key was destroyed), no_watchlist (the order's list is "
            "not in the gallery).",
            ["reason"],
            registry=registry,
        )
