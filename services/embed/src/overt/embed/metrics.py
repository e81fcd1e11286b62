"""What the embed service counts, declared once with its meaning."""

from prometheus_client import CollectorRegistry, Counter


class EmbedMetrics:
    """The collectors of one registry. No label ever names a person, a track or a list."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.templates = Counter(
            "overt_embed_templates_total", "Templates made from crops.", registry=registry
        )
        self.fused = Counter(
            "overt_embed_fused_templates_total",
            "Templates that went with one of their track: this look and those before it that are of the same "
            "face, taken together.",
            registry=registry,
        )
        self.dropped = Counter(
            "overt_embed_faces_dropped_total",
            "Crops dropped without a template, by reason: no_order (none active), other_camera (not covered "
            "by the order), other_fingerprint (aligned for another model pack), other_crop_size, not_finite.",
            ["reason"],
            registry=registry,
        )
