"""The outside of a JPEG, against pictures that Pillow writes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from overt.contracts.pictures import MAX_SEGMENTS, jpeg_size_px, require_jpeg


def jpeg(width_px: int, height_px: int, *, progressive: bool = False, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    picture = Image.new("RGB", (width_px, height_px), (90, 110, 130))
    picture.save(file, "JPEG", progressive=progressive, comment=comment)
    return file.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size_px", [(1, 1), (16, 9), (1920, 2), (3, 4000)])
def test_the_size_is_what_the_encoder_wrote(size_px: tuple[int, int], progressive: bool) -> None:
    assert jpeg_size_px(jpeg(*size_px, progressive=progressive)) == size_px


def test_comments_before_the_header_are_passed_over() -> None:
    assert jpeg_size_px(jpeg(20, 10, comment=b"\xff\xc0\xff\xd9" * 500)) == (20, 10)


def test_a_header_behind_endless_segments_is_not_looked_for() -> None:
    whole = jpeg(20, 10)
    padded = whole[:2] + b"\xff\xfe\x00\x02" * MAX_SEGMENTS + whole[2:]
    assert jpeg_size_px(padded) is None


@given(st.integers(0, 700))
def test_a_picture_cut_before_its_header_has_no_size(cut: int) -> None:
    whole = jpeg(20, 10)
    header = whole.index(b"\xff\xc0")
    assert jpeg_size_px(whole[: min(cut, header)]) is None


@given(st.binary(max_size=300))
def test_any_bytes_have_a_size_or_none(value: bytes) -> None:
    size_px = jpeg_size_px(b"\xff\xd8" + value)
    assert size_px is None or all(0 <= side < 65_536 for side in size_px)


@pytest.mark.parametrize(
    "value", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", jpeg(8, 8)[:-1], b" " + jpeg(8, 8)]
)
def test_what_does_not_begin_and_end_like_a_jpeg_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"^portrait picture is no JPEG$"):
        require_jpeg(value, "portrait")
    require_jpeg(jpeg(8, 8), "portrait")
