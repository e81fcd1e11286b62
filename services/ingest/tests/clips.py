"""Synthetic clips: a still gradient and a bar that moves; the green channel counts the pictures."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 25


def gradient(width_px: int, height_px: int, number: int = 0) -> NDArray[np.uint8]:
    """Red rises to the right, blue downwards, green with `number`."""
    picture_HWC = np.zeros((height_px, width_px, 3), np.uint8)
    picture_HWC[:, :, 0] = np.linspace(0, 255, width_px)[np.newaxis, :]
    picture_HWC[:, :, 1] = 40 + 4 * (number % 50)
    picture_HWC[:, :, 2] = np.linspace(0, 255, height_px)[:, np.newaxis]
    return picture_HWC


def frame_of(
    picture_HWC: NDArray[np.uint8],
    pix_fmt: str,
) -> av.VideoFrame:
    """Return an RGB picture as a frame of `pix_fmt`."""
    frame = av.VideoFrame.from_ndarray(picture_HWC, format="rgb24")
    return frame if pix_fmt == "rgb24" else frame.reformat(format=pix_fmt)


def write_clip(
    path: Path,
    pictures: int = 20,
    *,
    size_px: tuple[int, int] = (160, 96),
    rate_hz: int = RATE_HZ,
    pts: Sequence[int] | None = None,
) -> Path:
    """Write an H.264 clip, a key picture every ten; `pts` are in milliseconds, else evenly spaced."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options={"bf": "0", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = *size_px, "yuv420p"
        if pts is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(pictures):
            frame = frame_of(gradient(*size_px, number), "yuv420p")
            if pts is not None:
                frame.pts, frame.time_base = pts[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """Write a second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        for _ in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def spoil(path: Path, target: Path, start: float, end: float) -> Path:
    """Copy `path` with the bytes of its picture data between two shares of it made noise."""
    content = bytearray(path.read_bytes())
    # MP4: the pictures stand between the type of the `mdat` box and the `moov` box that follows it.
    first, last = content.index(b"mdat") + 4, content.index(b"moov") - 4
    noise = np.random.default_rng(7).integers(0, 256, len(content), np.uint8).tobytes()
    cut = slice(first + int(start * (last - first)), first + int(end * (last - first)))
    content[cut] = noise[cut]
    target.write_bytes(content)
    return target
