"""What each camera's view is looked at for: where, how large, how often. One TOML file for all cameras.

Distances between the eyes are in pixels of the camera's full picture.
"""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from overt.detect.polygon import Point, problem
from overt.recognition.quality import PROBE_EYE_DISTANCE_PX

# The inter-eye distance at which YuNet still finds about nine faces of ten, in pixels of the picture that is shown to
# it (benchmarks/smallest_faces.py); in video each is shown many times. At 6 px it is two of three, at 10 nearly all.
FOUND_EYE_DISTANCE_PX = 8.0
# The detector loses what little is left of a face below this: no zone may shrink a picture further.
LEAST_INPUT_PX = 160
MAX_FILE_BYTES = 1_000_000
CameraId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class ZonesRefused(ValueError):
    """The file of zones can't be read or says something that makes no sense; the text says where and what."""


def _region(corners: tuple[Point, ...] | None) -> tuple[Point, ...] | None:
    wrong = None if corners is None else problem(corners)
    if wrong is not None:
        raise ValueError(wrong)
    return corners


class Zone(BaseModel):
    """One camera's zone. What is left out is the default's, else the service's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    polygon: Annotated[tuple[Point, ...] | None, AfterValidator(_region)] = Field(
        default=None,
        max_length=64,
        description="Corners of the region of interest, each [x, y] as fractions of the picture's width and "
        "height. A face whose middle lies outside is never followed, judged or handed on.",
    )
    smallest_eye_distance_px: float | None = Field(
        default=None,
        ge=4,
        le=1000,
        description="Distance between the eyes of the smallest face that is wanted: the picture is shown to "
        "the detector as small as still finds it.",
    )
    probe_eye_distance_px: float = Field(
        default=PROBE_EYE_DISTANCE_PX,
        ge=PROBE_EYE_DISTANCE_PX,
        le=1000,
        description="Distance between the eyes from which a face is searched for.",
    )
    every_nth: int = Field(
        default=1,
        ge=1,
        le=10,
        description="Faces are looked for in every n-th picture; between them nothing is decoded.",
    )

    def longest_side_px(self, region_px: int, default_px: int) -> int:
        """Return at which longest side a region is shown, whose own is `region_px` in the full picture.

        Without a smallest face it is the service's `default_px`, whatever the region's size: a smaller one is
        then seen at a larger scale. No region is ever enlarged.
        """
        if self.smallest_eye_distance_px is None:
            return min(default_px, region_px)
        scale = min(1.0, FOUND_EYE_DISTANCE_PX / self.smallest_eye_distance_px)
        return min(region_px, max(LEAST_INPUT_PX, math.ceil(region_px * scale)))


class Zones(BaseModel):
    """The zones of all cameras. A camera that is not named has the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    defaults: Zone = Zone()
    cameras: Mapping[CameraId, Zone] = {}

    def of(self, camera_id: str) -> Zone:
        """Return a camera's zone: its own fields over the defaults."""
        own = self.cameras.get(camera_id)
        return (
            self.defaults
            if own is None
            else self.defaults.model_copy(update=own.model_dump(exclude_unset=True))
        )


def read_zones(path: Path) -> Zones:
    """Return the zones in a TOML file. Raises ZonesRefused: one line that says where and what is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ZonesRefused(f"zones {path} can't be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ZonesRefused(f"zones {path}: is larger than {MAX_FILE_BYTES} bytes")
    try:
        return Zones.model_validate(tomllib.loads(content.decode()))
    except ValidationError as error:
        wrong = "; ".join(_in_words(each["loc"], each["msg"], each["type"]) for each in error.errors())
        raise ZonesRefused(f"zones {path}: {wrong}") from None
    except (ValueError, RecursionError) as error:
        raise ZonesRefused(f"zones {path}: is no TOML: {error}") from None


def _in_words(location: tuple[int | str, ...], message: str, kind: str) -> str:
    where = ".".join(str(part) for part in location if part != "[key]")
    if kind == "extra_forbidden":
        known = Zones.model_fields if len(location) == 1 else Zone.model_fields
        return f"{where}: is not known here, only {', '.join(known)}"
    text = message.removeprefix("Value error, ")
    return f"{where}: {text[:1].lower()}{text[1:]}"
