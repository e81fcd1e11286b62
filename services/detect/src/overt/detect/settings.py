"""What the detect service can be told: `DetectOptions` for whoever builds it, `DetectSettings` for its process."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from overt.detect.zones import Zones, read_zones
from overt.recognition.onnx_session import Device
from overt.runtime.settings import Port, ServiceSettings

FRESHNESS_S = Field(
    default=0.5, gt=0, le=60, description="Live frames read longer ago than this are counted and skipped."
)
LONGEST_SIDE_PX = Field(
    default=960,
    ge=320,
    le=4096,
    description="Longest side at which faces are looked for: larger finds smaller faces and costs more.",
)
SHOT_SCORE = Field(
    default=0.6, gt=0, lt=1, description="Detections at or above this score are counted and followed."
)
BLUR_SCORE = Field(
    default=0.3,
    gt=0,
    lt=1,
    description="Detections at or above this score are blurred in pictures of somebody else.",
)


class DetectOptions(BaseModel):
    """The service's own knobs, the same in one process and over Kafka."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    freshness_s: float = FRESHNESS_S
    longest_side_px: int = LONGEST_SIDE_PX
    shot_score: float = SHOT_SCORE
    blur_score: float = BLUR_SCORE
    zones: Zones = Zones()


class DetectSettings(ServiceSettings):
    """`python -m overt.detect`, from `OVERT_…` variables."""

    health_port: Port = Field(default=9102, description="Port of /healthz, /readyz and /metrics.")
    models_dir: Path = Field(description="Folder that `overt models fetch` filled.")
    pack: str = Field(
        default="cpu",
        min_length=1,
        description="Model pack, or the path of a .toml that describes one; the order must name the same.",
    )
    device: Device = Field(
        default="cpu", description="What the networks run on; one that is not there ends the service."
    )
    detect_threads: int = Field(default=1, ge=1, le=64, description="Threads that one detection may use.")
    detect_freshness_s: float = FRESHNESS_S
    detect_longest_side_px: int = LONGEST_SIDE_PX
    detect_shot_score: float = SHOT_SCORE
    detect_blur_score: float = BLUR_SCORE
    detect_zones: Path | None = Field(
        default=None,
        description="TOML file of the cameras' zones: region of interest, smallest face, every n-th picture.",
    )

    def options(self) -> DetectOptions:
        """Return the options that these settings say. Raises ZonesRefused."""
        return DetectOptions(
            freshness_s=self.detect_freshness_s,
            longest_side_px=self.detect_longest_side_px,
            shot_score=self.detect_shot_score,
            blur_score=self.detect_blur_score,
            zones=Zones() if self.detect_zones is None else read_zones(self.detect_zones),
        )
