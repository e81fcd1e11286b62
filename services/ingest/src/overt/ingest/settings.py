"""What ingest can be told: `IngestOptions` for whoever builds it, `IngestSettings` for its process."""

import json
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from overt.contracts.messages import Identifier
from overt.runtime.settings import Port, ServiceSettings

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

JPEG_QUALITY = Field(default=85, ge=50, le=100, description="JPEG quality of frames.")
DECODE_THREADS = Field(
    default=1,
    ge=0,
    le=16,
    description="Threads that decode one camera, 0 for as many as there are cores. More than one costs about "
    "a quarter more computing and delays a live picture by as many pictures; wanted above 1080p25.",
)
OPEN_TIMEOUT_S = Field(default=10.0, gt=0, le=60, description="How long opening a camera may take.")
READ_TIMEOUT_S = Field(
    default=5.0,
    gt=0,
    le=60,
    description="How long a camera may give no picture before it counts as lost and its decoder is killed.",
)


class CameraOptions(BaseModel):
    """One camera and where its pictures come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera_id: Identifier = Field(pattern=IDENTIFIER, description="Name of the camera in orders and alerts.")
    source: str = Field(
        min_length=1,
        repr=False,
        description="A file, a folder of pictures, a device such as /dev/video0, or an rtsp:// address.",
    )
    live: bool = Field(
        default=True,
        description="Play a recording at camera speed; otherwise read it as fast as it is handled. "
        "Cameras are always live.",
    )
    rate_hz: float = Field(
        default=25.0,
        gt=0,
        le=60,
        description="Pictures a second at most; a slower source gives all of its own.",
    )
    loop: bool = Field(default=False, description="Begin a recording again when it ends.")


def _each_once(cameras: tuple[CameraOptions, ...]) -> tuple[CameraOptions, ...]:
    if len({camera.camera_id for camera in cameras}) != len(cameras):
        raise ValueError("a camera is named twice")
    return cameras


Cameras = Annotated[tuple[CameraOptions, ...], AfterValidator(_each_once)]


class IngestOptions(BaseModel):
    """The service's own knobs, the same in one process and over Kafka."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cameras: Cameras = Field(min_length=1, max_length=64, description="The cameras.")
    jpeg_quality: int = JPEG_QUALITY
    decode_threads: int = DECODE_THREADS
    open_timeout_s: float = OPEN_TIMEOUT_S
    read_timeout_s: float = READ_TIMEOUT_S


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("is not JSON") from None


class IngestSettings(ServiceSettings):
    """`python -m overt.ingest`, from `OVERT_…` variables."""

    health_port: Port = Field(default=9101, description="Port of /healthz, /readyz and /metrics.")
    ingest_cameras: Annotated[Cameras, NoDecode, BeforeValidator(_from_json)] = Field(
        min_length=1,
        max_length=64,
        repr=False,
        description='The cameras, as JSON: [{"camera_id": "north", "source": "rtsp://…", "rate_hz": 25}].',
    )
    ingest_jpeg_quality: int = JPEG_QUALITY
    ingest_decode_threads: int = DECODE_THREADS
    ingest_open_timeout_s: float = OPEN_TIMEOUT_S
    ingest_read_timeout_s: float = READ_TIMEOUT_S

    def options(self) -> IngestOptions:
        """Return the options that these settings say."""
        return IngestOptions(
            cameras=self.ingest_cameras,
            jpeg_quality=self.ingest_jpeg_quality,
            decode_threads=self.ingest_decode_threads,
            open_timeout_s=self.ingest_open_timeout_s,
            read_timeout_s=self.ingest_read_timeout_s,
        )
