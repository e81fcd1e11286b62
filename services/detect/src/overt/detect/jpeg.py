"""JPEG in and out through libjpeg-turbo, at the smallest scale that still serves."""

import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from numpy.typing import NDArray

MAX_PIXELS = 40_000_000


class UnreadablePicture(ValueError):
    """The bytes are no picture that can be used. The text says why and holds nothing of it."""


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Return width and height in pixels from the header alone. Raises UnreadablePicture."""
    try:
        height_px, width_px, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError:
        raise UnreadablePicture("is no JPEG") from None
    if height_px * width_px > MAX_PIXELS:
        raise UnreadablePicture(f"has {height_px * width_px} pixels, the limit is {MAX_PIXELS}")
    return int(width_px), int(height_px)


def decode(jpeg: bytes, *, min_longest_px: int | None = None) -> NDArray[np.uint8]:
    """Return the picture as RGB rows, columns, 3. Raises UnreadablePicture.

    With `min_longest_px` it is scaled down while decoding (in eighths, in the DCT domain), as far as its
    longest side keeps that many pixels: half the size costs three quarters of the time, and the resize after
    it is saved.
    """
    width_px, height_px = size_of(jpeg)
    limits = {}
    if min_longest_px is not None:
        limits = {"min_width": min_longest_px} if width_px >= height_px else {"min_height": min_longest_px}
    try:
        picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(jpeg, **limits)
    except ValueError:
        raise UnreadablePicture("is damaged") from None
    return picture


def encode(picture_HWC: NDArray[np.uint8], quality: int) -> bytes:
    """Return RGB rows, columns, 3 as JPEG."""
    rows_HWC = np.ascontiguousarray(picture_HWC)
    data: bytes = simplejpeg.encode_jpeg(rows_HWC, quality=quality, colorsubsampling="420")
    return data
