from collections.abc import Callable

import numpy as np
import pytest

from overt.detect import jpeg


@pytest.fixture
def picture() -> np.ndarray:
    """A smooth 1280 x 720 picture, wide."""
    rows, columns = np.mgrid[0:720, 0:1280]
    return np.stack([columns * 255 // 1280, rows * 255 // 720, np.full_like(rows, 90)], axis=2).astype(
        np.uint8
    )


def test_the_header_tells_the_size_without_decoding(picture: np.ndarray) -> None:
    assert jpeg.size_of(jpeg.encode(picture, 85)) == (1280, 720)


def test_a_wide_and_a_tall_picture_keep_their_longest_side_above_the_minimum(picture: np.ndarray) -> None:
    wide = jpeg.decode(jpeg.encode(picture, 85), min_longest_px=600)
    tall = jpeg.decode(jpeg.encode(picture.transpose(1, 0, 2), 85), min_longest_px=600)
    assert wide.shape == (360, 640, 3)
    assert tall.shape == (640, 360, 3)


def test_a_picture_smaller_than_the_minimum_is_decoded_whole(picture: np.ndarray) -> None:
    assert jpeg.decode(jpeg.encode(picture, 85), min_longest_px=4000).shape == picture.shape


def test_a_scaled_picture_shows_the_same_as_the_whole_one(picture: np.ndarray) -> None:
    half = jpeg.decode(jpeg.encode(picture, 95), min_longest_px=640).astype(int)
    slow = picture.reshape(360, 2, 640, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - slow).mean() < 2


@pytest.mark.parametrize("damage", [lambda data: data[:200], lambda data: b"no picture", lambda data: b""])
def test_bytes_that_are_no_whole_picture_are_refused_with_a_reason(
    picture: np.ndarray, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(jpeg.UnreadablePicture, match=r"is no JPEG|is damaged"):
        jpeg.decode(damage(jpeg.encode(picture, 85)))


def test_a_picture_cut_in_the_middle_is_refused(picture: np.ndarray) -> None:
    data = jpeg.encode(picture, 85)
    with pytest.raises(jpeg.UnreadablePicture, match="is damaged"):
        jpeg.decode(data[: len(data) // 2] + b"\xff\xd9", min_longest_px=600)


def test_a_picture_too_large_for_memory_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg.encode(np.zeros((64, 64, 3), np.uint8), 85)
    monkeypatch.setattr(jpeg, "MAX_PIXELS", 4000)
    with pytest.raises(jpeg.UnreadablePicture, match="4096 pixels"):
        jpeg.decode(data)
