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


# Red, green, blue, skin, grey: flat, so that neither compression nor chroma at half size blurs them.
KNOWN = ((200, 40, 40), (40, 180, 60), (40, 60, 200), (205, 155, 130), (128, 128, 128))
TAGS = {"bt709": 1, "untagged": 2, "bt601": 5, "smpte170m": 6, "bt2020": 9}
# Luma from red and blue: BT.601-7, BT.709-6 and BT.2020-2.
LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


def flat_frame(
    colour: tuple[int, int, int], matrix: str, tag: str, *, full: bool = False, size_px: tuple[int, int]
) -> av.VideoFrame:
    """A frame of one colour, its three values computed from the recommendation, not by FFmpeg."""
    red, green, blue = (value / 255 for value in colour)
    from_red, from_blue = LUMA[matrix]
    luma = from_red * red + (1 - from_red - from_blue) * green + from_blue * blue
    chroma = (blue - luma) / (2 - 2 * from_blue), (red - luma) / (2 - 2 * from_red)
    levels = [255 * luma if full else 16 + 219 * luma]
    levels += [128 + (255 if full else 224) * value for value in chroma]
    frame = av.VideoFrame(*size_px, "yuv420p")
    for plane, level in zip(frame.planes, levels, strict=True):
        np.frombuffer(memoryview(plane), np.uint8)[:] = round(level)
    frame.colorspace = TAGS[tag]
    frame.color_range = ColorRange.JPEG if full else ColorRange.MPEG
    return frame


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("matrix", "tag", "size_px"),
    [
        ("bt709", "bt709", (64, 48)),
        ("bt709", "bt709", (1280, 720)),
        ("bt601", "bt601", (64, 48)),
        ("bt601", "smpte170m", (1280, 720)),
        ("bt2020", "bt2020", (1280, 720)),
        ("bt601", "untagged", (720, 576)),
        ("bt709", "untagged", (1280, 720)),
    ],
)
def test_known_colours_come_out_as_the_video_says_they_are(
    matrix: str, tag: str, size_px: tuple[int, int], full: bool
) -> None:
    for colour in KNOWN:
        picture = decoded(flat_frame(colour, matrix, tag, full=full, size_px=size_px))
        assert np.abs(picture - colour).max() <= 4  # taken for the other matrix, red is off by 20


def test_what_says_nothing_is_taken_for_bt601_below_720_rows_and_for_bt709_above() -> None:
    for rows, matrix in ((718, "bt601"), (720, "bt709")):
        frame = flat_frame((200, 40, 40), matrix, "untagged", size_px=(64, rows))
        assert np.abs(decoded(frame) - (200, 40, 40)).max() <= 4


@pytest.mark.parametrize("size_px", [(399, 301), (161, 97), (33, 19)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "nv12", "yuv444p", "yuv420p10le"])
def test_bt709_of_every_format_and_odd_size_keeps_its_picture(size_px: tuple[int, int], pix_fmt: str) -> None:
    frame = frame_of(gradient(*size_px), "rgb24").reformat(format=pix_fmt, dst_colorspace="itu709")
    frame.colorspace = TAGS["bt709"]
    assert np.abs(decoded(frame) - gradient(*size_px)).mean() < 4.0


def test_quality_decides_the_size() -> None:
    frame = frame_of(gradient(*SIZE_PX), "yuv420p")
    assert len(JpegEncoder(50).encode(frame)[0]) < len(JpegEncoder(95).encode(frame)[0])
