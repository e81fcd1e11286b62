"""What every kind of source gives: decoded pictures, and what is known of them beforehand."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import av

from overt.contracts.messages import MAX_SIDE_PX
from overt.ingest.source import Source

# Above 8K (7680 x 4320) a picture is a mistake or an attack on memory.
MAX_PIXELS = 40_000_000


def is_oversize(width_px: int, height_px: int) -> bool:
    """Whether a picture of that size is refused before it is decoded."""
    return width_px * height_px > MAX_PIXELS or max(width_px, height_px) > MAX_SIDE_PX


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture. `pts_ns` is its presentation time, None when the source gives none."""

    frame: av.VideoFrame
    pts_ns: int | None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself. `rate_hz` is its own, None when it does not say; sizes may change later."""

    shown: str
    width_px: int
    height_px: int
    rate_hz: float | None


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to open a source. `rate_hz` is the target rate: a folder of pictures is played at it."""

    rate_hz: float = 25.0
    decode_threads: int = 1
    open_timeout_s: float = 10.0
    read_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """An open source. `pictures` raises SourceLost when a camera goes away."""

    info: SourceInfo
    pictures: Iterator[Picture]


# The last argument is told of every picture that can't be had: "corrupt" or "oversize".
OpenSource = Callable[[Source, OpenOptions, Callable[[str], None]], AbstractContextManager[OpenedSource]]
