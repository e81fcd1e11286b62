"""Encodes decoded pictures as JPEG, from the YUV planes where that is possible: no RGB in between."""

from collections.abc import Sequence

import av
import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

# Rows worked on at once when stretching: 128 rows of 1920 stay in the second-level cache (measured:
# 2.0 ms a 1080p picture; whole planes 5 ms, swscale 4 to 5 ms).
BLOCK_ROWS = 128
LUMA_TOP, LUMA_GAIN = 235, 298  # 255 / 219 in 1/256
CHROMA_TOP, CHROMA_GAIN = 240, 291  # 255 / 224 in 1/256
BLACK = 16


class JpegEncoder:
    """Encodes the pictures of one camera. Not safe to share between threads.

    JPEG (JFIF) is full range; video is mostly limited range (ITU-R BT.601-7, 2.5.3: luma 16 to 235, chroma
    16 to 240) and is stretched. The matrix is taken as BT.601 as it is: converting a BT.709 picture costs
    more than encoding it, and leaving it makes skin up to six levels of 255 less red.
    """

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._reformatter = VideoReformatter()

    def encode(self, frame: av.VideoFrame) -> tuple[bytes, int, int]:
        """Return the JPEG, upright, and its width and height in pixels."""
        planes = self._full_range_planes(frame)
        turns = round(frame.rotation / 90) % 4
        if turns:
            planes = [np.ascontiguousarray(np.rot90(plane, turns)) for plane in planes]
        luma, blue, red = planes
        jpeg = simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, quality=self._quality)
        return jpeg, luma.shape[1], luma.shape[0]

    def _full_range_planes(self, frame: av.VideoFrame) -> Sequence[Plane]:
        if frame.format.name == "yuvj420p":
            return planes_of(frame)
        if frame.format.name != "yuv420p":
            return planes_of(self._reformatter.reformat(frame, format="yuvj420p"))
        luma, blue, red = planes_of(frame)
        if frame.color_range == ColorRange.JPEG:
            return luma, blue, red
        return (
            _stretch(luma, LUMA_TOP, LUMA_GAIN),
            _stretch(blue, CHROMA_TOP, CHROMA_GAIN),
            _stretch(red, CHROMA_TOP, CHROMA_GAIN),
        )


def planes_of(frame: av.VideoFrame) -> Sequence[Plane]:
    """Return the planes of an 8-bit planar frame, rows x columns, without copying."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]


def _stretch(plane: Plane, top: int, gain: int) -> Plane:
    """Return (plane - 16) * gain / 256, rounded, with what is outside 16 to `top` cut off."""
    rows, columns = plane.shape
    full = np.empty(plane.shape, np.uint8)
    bytes_block = np.empty((min(rows, BLOCK_ROWS), columns), np.uint8)
    words_block = np.empty(bytes_block.shape, np.uint16)
    offset = np.uint16(BLACK * gain - 128)
    for row in range(0, rows, BLOCK_ROWS):
        part = plane[row : row + BLOCK_ROWS]
        clipped, words = bytes_block[: len(part)], words_block[: len(part)]
        np.clip(part, BLACK, top, out=clipped)
        # The product may pass 65535; subtracting the offset brings it back: arithmetic modulo 2^16.
        np.multiply(clipped, np.uint16(gain), out=words, dtype=np.uint16)
        words -= offset
        words >>= 8
        full[row : row + len(part)] = words
    return full
