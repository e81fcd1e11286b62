"""Reads a folder of pictures in name order as if it were a video at the target rate."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from overt.ingest.errors import SourceRefused
from overt.ingest.picture import OpenedSource, OpenOptions, Picture, SourceInfo, is_oversize
from overt.ingest.source import Source

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp"))
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


@contextmanager
def open_folder(
    source: Source, options: OpenOptions, on_spoilt: Callable[[str], None]
) -> Iterator[OpenedSource]:
    """Open a folder. Raises SourceRefused when there are no pictures in it."""
    try:
        paths = sorted(p for p in Path(source.address).iterdir() if p.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise SourceRefused(f"folder {source.shown} can't be read: {error.strerror}") from None
    if not paths:
        raise SourceRefused(f"folder {source.shown} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    info = SourceInfo(source.shown, *_size_of_first(paths), options.rate_hz)
    yield OpenedSource(info, _pictures(paths, options.rate_hz, on_spoilt))


def _pictures(paths: list[Path], rate_hz: float, on_spoilt: Callable[[str], None]) -> Iterator[Picture]:
    for number, path in enumerate(paths):
        frame = _decode(path, on_spoilt)
        if frame is not None:
            # A picture that can't be read leaves a gap, so the others keep their time.
            yield Picture(frame, int(number * 1e9 / rate_hz))


def _size_of_first(paths: list[Path]) -> tuple[int, int]:
    """Return width and height of the first picture whose header can be read; 0, 0 when none can."""
    for path in paths:
        try:
            with Image.open(path, formats=FORMATS) as image:
                return image.size
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
            continue
    return 0, 0


def _decode(path: Path, on_spoilt: Callable[[str], None]) -> av.VideoFrame | None:
    try:
        # Pillow's warning about size is below our own limit, which is what decides.
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(path, formats=FORMATS)
        with image:
            if is_oversize(*image.size):
                on_spoilt("oversize")
                return None
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Image.DecompressionBombError:
        on_spoilt("oversize")
        return None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        # Pillow's decoders raise all of these for broken files (a bad PNG is a SyntaxError).
        on_spoilt("corrupt")
        return None
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")
