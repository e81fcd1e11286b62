"""What the embed service can be told: `EmbedOptions` for whoever builds it, `EmbedSettings` for its process."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from overt.recognition.onnx_session import Device
from overt.runtime.settings import Port, ServiceSettings

BATCH = Field(
    default=8,
    ge=1,
    le=256,
    description="Crops embedded together at most; nothing is sent before a whole batch is done.",
)


class EmbedOptions(BaseModel):
    """The service's own knobs, the same in one process and over Kafka."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_batch: int = BATCH


class EmbedSettings(ServiceSettings):
    """`python -m overt.embed`, from `OVERT_…` variables."""

    health_port: Port = Field(default=9103, description="Port of /healthz, /readyz and /metrics.")
    models_dir: Path = Field(description="Folder that `overt models fetch` filled.")
    pack: str = Field(
        default="cpu",
        min_length=1,
        description="Model pack, or the path of a .toml that describes one; the order must name the same.",
    )
    device: Device = Field(
        default="cpu", description="What the networks run on; one that is not there ends the service."
    )
    embed_threads: int = Field(default=1, ge=1, le=64, description="Threads that one embedding may use.")
    embed_max_batch: int = BATCH

    def options(self) -> EmbedOptions:
        """Return the options that these settings say."""
        return EmbedOptions(max_batch=self.embed_max_batch)
