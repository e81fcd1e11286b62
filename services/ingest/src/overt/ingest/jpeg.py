"""Encodes decoded pictures as JPEG in the colours that the video says it has."""

from collections.abc import Sequence

import av
import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

# Rows worked on at once when stretching: 128 rows of 1920 stay in the second-level cache (measured:
# 2.0 ms a 1080p picture; whole planes 5 ms, swscale 4 to 5 ms).
BLOCK_ROWS = 128
LUMA_TOP, LUMA_GAIN = 235, 298  # 255 / 219 in 1/256
CHROMA_TOP, CHROMA_GAIN = 240, 291  # 255 / 224 in 1/256
BLACK = 16

# H.273, table 4: the matrices that are not JPEG's, which is that of BT.601.
OTHER_MATRICES = {int(matrix): matrix for matrix in (Colorspace.ITU709, Colorspace.BT2020)}
UNSPECIFIED = 2
# What says nothing is taken for BT.709 from here on, as players do (H.273 leaves it open).
HD_ROWS = 720


class JpegEncoder:
    """Encodes the pictures of one camera. Not safe to share between threads.

    JPEG (JFIF) is full range and has the matrix of BT.601. Video with that matrix is encoded from its planes:
    it is mostly limited range (ITU-R BT.601-7, 2.5.3: luma 16 to 235, chroma 16 to 240) and is stretched.
    Video of BT.709, which is most of HD, goes through RGB, which costs no more (docs/adr/0011-video-colours.md).
    """

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._reformatter = VideoReformatter()

    def encode(self, frame: av.VideoFrame) -> tuple[bytes, int, int]:
        """Return the JPEG, upright, and its width and height in pixels."""
        turns = round(frame.rotation / 90) % 4
        matrix = other_matrix_of(frame)
        if matrix is not None:
            picture_HWC = np.ascontiguousarray(np.rot90(self._rgb(frame, matrix), turns))
            jpeg = simplejpeg.encode_jpeg(picture_HWC, quality=self._quality, colorsubsampling="420")
            return jpeg, picture_HWC.shape[1], picture_HWC.shape[0]
        planes = self._full_range_planes(frame)
        if turns:
            planes = [np.ascontiguousarray(np.rot90(plane, turns)) for plane in planes]
        luma, blue, red = planes
        jpeg = simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, quality=self._quality)
        return jpeg, luma.shape[1], luma.shape[0]

    def _rgb(self, frame: av.VideoFrame, matrix: Colorspace) -> Plane:
        """Return rows x columns x 3 of a frame whose colours are of `matrix`."""
        shown = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=matrix,
            src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
        )
        (plane,) = shown.planes
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return rows[: shown.height, : 3 * shown.width].reshape(shown.height, shown.width, 3)

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


def other_matrix_of(frame: av.VideoFrame) -> Colorspace | None:
    """Return the matrix of a frame's colours where it is not JPEG's own; a frame without one gives None."""
    if frame.format.is_rgb or len(frame.format.components) < 3:
        return None
    told = int(frame.colorspace)
    if told == UNSPECIFIED and frame.height >= HD_ROWS and not frame.format.name.startswith("yuvj"):
        return Colorspace.ITU709
    return OTHER_MATRICES.get(told)


def is_full_range(frame: av.VideoFrame) -> bool:
    """Whether 0 is black and 255 white; formats with a j are, whatever else they say."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


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
