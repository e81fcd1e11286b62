import av
import numpy as np
import pytest
import simplejpeg  # type: ignore[import-untyped]
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from overt.ingest.jpeg import BLOCK_ROWS, JpegEncoder, planes_of

from .clips import frame_of, gradient

SIZE_PX = (320, 200)


def decoded(frame: av.VideoFrame, quality: int = 95) -> NDArray[np.int16]:
    jpeg, width_px, height_px = JpegEncoder(quality).encode(frame)
    picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(jpeg)
    assert picture.shape == (height_px, width_px, 3)
    return picture.astype(np.int16)


def as_pyav_shows_it(frame: av.VideoFrame) -> NDArray[np.int16]:
    return np.asarray(frame.to_ndarray(format="rgb24")).astype(np.int16)


@pytest.mark.parametrize(
    "pix_fmt",
    [
        "yuv420p",
        "yuvj420p",
        "yuv422p",
        "yuvj422p",
        "yuyv422",
        "nv12",
        "yuv444p",
        "yuv420p10le",
        "gray",
        "rgb24",
    ],
)
def test_the_jpeg_has_the_colours_that_pyav_itself_shows(pix_fmt: str) -> None:
    frame = frame_of(gradient(*SIZE_PX), pix_fmt)
    error = decoded(frame) - as_pyav_shows_it(frame)
    assert np.abs(error).mean() < 2.0  # a mistaken range makes it more than 6
    assert np.abs(error.mean(axis=(0, 1))).max() < 2.5  # most of it is PyAV's: swscale rounds down


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p"])
def test_black_stays_black_and_white_stays_white(pix_fmt: str) -> None:
    for level in (0, 255):
        picture = np.full((48, 64, 3), level, np.uint8)
        assert np.abs(decoded(frame_of(picture, pix_fmt)) - level).max() <= 2


def test_full_range_is_told_from_the_frame_when_the_format_does_not_say_it() -> None:
    frame = frame_of(gradient(*SIZE_PX), "yuvj420p").reformat(
        format="yuv420p", src_color_range="JPEG", dst_color_range="JPEG"
    )
    assert (frame.format.name, frame.color_range) == ("yuv420p", ColorRange.JPEG)
    assert np.abs(decoded(frame) - gradient(*SIZE_PX)).mean() < 2.0


@pytest.mark.parametrize("overshoot", [0, 5, 250, 255])
def test_luma_outside_its_range_is_cut_off_and_does_not_wrap_around(overshoot: int) -> None:
    frame = frame_of(np.zeros((48, 64, 3), np.uint8), "yuv420p")
    luma = np.asarray(planes_of(frame)[0])
    writeable = np.frombuffer(memoryview(frame.planes[0]), np.uint8)
    writeable[:] = overshoot
    assert luma[0, 0] == overshoot
    expected = 0 if overshoot < 128 else 255
    assert np.abs(decoded(frame) - expected).max() <= 2


def test_the_stretch_is_the_formula_in_every_block_of_rows() -> None:
    height_px = 2 * BLOCK_ROWS + 6
    frame = frame_of(gradient(64, height_px), "yuv420p")
    full = JpegEncoder(85)._full_range_planes(frame)
    for plane, stretched, span in zip(planes_of(frame), full, (219, 224, 224), strict=True):
        exact = np.clip((plane.astype(np.float64) - 16) * 255 / span, 0, 255)
        assert np.abs(stretched - exact).max() <= 1.0


@pytest.mark.parametrize("size_px", [(399, 301), (161, 97), (2, 2)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p"])
def test_odd_sizes_and_padded_lines_keep_their_picture(size_px: tuple[int, int], pix_fmt: str) -> None:
    frame = frame_of(gradient(*size_px), pix_fmt)
    assert np.abs(decoded(frame) - as_pyav_shows_it(frame)).mean() < 2.5


def test_taking_bt709_for_bt601_shifts_skin_by_a_few_levels_only() -> None:
    picture = np.empty((64, 64, 3), np.uint8)
    picture[:] = (205, 155, 130)
    frame = frame_of(picture, "rgb24").reformat(format="yuv420p", dst_colorspace="itu709")
    assert 1 < np.abs(decoded(frame) - picture).max() <= 8


def test_quality_decides_the_size() -> None:
    frame = frame_of(gradient(*SIZE_PX), "yuv420p")
    assert len(JpegEncoder(50).encode(frame)[0]) < len(JpegEncoder(95).encode(frame)[0])
