"""Reads pictures that strangers made, and makes faces in a picture unrecognisable."""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from overt.recognition.colour import pixels, to_srgb
from overt.recognition.errors import PictureRefused

__all__ = ["PictureRefused", "blur_faces", "load_picture"]

MAX_PIXELS = 40_000_000
MAX_BYTES = 30_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # JPEG includes what phones call MPO
# What is left of a blurred face: so few cells that two people's can't be told apart.
CELLS = 6
# What Pillow's decoders raise for damaged files.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError),
    *(ArithmeticError, struct.error),
)
# The region around a box, in shares of its size: hair, ears and chin identify too.
EXPAND = 0.3
# Squared distance from the middle, in box sizes, of the ellipse that is a face: the box and a fifth more.
OWN_ELLIPSE = 0.36


def load_picture(
    source: Path | bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> NDArray[np.uint8]:
    """Return a picture upright as H x W x 3 RGB, uint8, whatever it was: grey, CMYK, 16 bit, transparent.

    Transparent parts become white; of an animation it is the first frame. Size is judged from the header,
    before anything is decoded. Raises PictureRefused with the reason: unreadable, unsupported, truncated
    or too large.
    """
    content = _content(source, max_bytes)
    Image.init()  # Pillow knows half of the formats only after this
    try:
        with warnings.catch_warnings():
            # Pillow's own warning about size is replaced by our refusal; oddities of metadata are no news.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _require_size(picture, max_pixels)
                _require_ink_polarity(picture)
                picture.load()
                _require_size(picture, max_pixels)  # a frame of a GIF may be larger than its header said
                ImageOps.exif_transpose(picture, in_place=True)
                return pixels(to_srgb(picture))
    except UnidentifiedImageError as error:
        raise PictureRefused("unsupported: not a picture, or of a kind that is not read") from error
    except Image.DecompressionBombError as error:
        raise PictureRefused(f"too large: more than {max_pixels / 1e6:.0f} megapixels") from error
    except DAMAGED as error:
        truncated = "truncated" in str(error).lower() or "end of" in str(error).lower()
        raise PictureRefused(
            "truncated: the file ends too early" if truncated else "unreadable: damaged"
        ) from error


def blur_faces(
    image_HWC: NDArray[np.uint8], boxes_N4: NDArray[np.floating], *, keep: int | None
) -> NDArray[np.uint8]:
    """Return a copy in which every face but number `keep` is beyond recognition.

    An ellipse larger than the box is reduced to 6 x 6 cells or fewer and smoothed: what is left holds 36
    colours. The kept face stays as it is; where its box meets another face's, each pixel belongs to the face
    whose middle is nearer, in box sizes, and is shown or blurred with it; a smaller face keeps its whole
    ellipse, so that none is shown in part on a larger one.
    """
    picture = Image.fromarray(image_HWC)
    for number, box in enumerate(boxes_N4):
        if number != keep:
            _blur(picture, [float(value) for value in box])
    blurred_HWC = np.array(picture)
    if keep is not None:
        left, top, right, bottom = _pixels(boxes_N4[keep], image_HWC.shape)
        kept_HW = _shown_with(keep, boxes_N4, (left, top, right, bottom))
        blurred_HWC[top:bottom, left:right][kept_HW] = image_HWC[top:bottom, left:right][kept_HW]
    return blurred_HWC


def _shown_with(
    keep: int, boxes_N4: NDArray[np.floating], region: tuple[int, int, int, int]
) -> NDArray[np.bool_]:
    """Return which pixels of `region` (left, top, right, bottom) belong to face `keep`."""
    left, top, right, bottom = region
    rows_H1, columns_W = np.arange(top, bottom)[:, None] + 0.5, np.arange(left, right) + 0.5
    size_N2 = np.maximum(boxes_N4[:, 2:] - boxes_N4[:, :2], 1.0)
    middle_N2 = (boxes_N4[:, 2:] + boxes_N4[:, :2]) / 2
    away_NHW = [
        ((columns_W - x) / width) ** 2 + ((rows_H1 - y) / height) ** 2
        for (x, y), (width, height) in zip(middle_N2, size_N2, strict=True)
    ]
    shown_HW = np.argmin(np.stack(away_NHW), axis=0) == keep
    for number, size_2 in enumerate(size_N2):
        if number != keep and size_2.prod() < size_N2[keep].prod():
            shown_HW &= away_NHW[number] > OWN_ELLIPSE
    return np.asarray(shown_HW)


def _content(source: Path | bytes, max_bytes: int) -> bytes:
    if isinstance(source, bytes):
        content = source
    else:
        try:
            with source.open("rb") as file:
                content = file.read(max_bytes + 1)
        except OSError as error:
            raise PictureRefused(f"unreadable: {error.strerror}") from error
    if len(content) > max_bytes:
        raise PictureRefused(f"too large: more than {max_bytes / 1e6:.0f} MB")
    return content


def _require_size(picture: Image.Image, max_pixels: int) -> None:
    if picture.width * picture.height > max_pixels:
        raise PictureRefused(
            f"too large: {picture.width} x {picture.height} pixels, at most {max_pixels / 1e6:.0f} megapixels"
        )


def _require_ink_polarity(picture: Image.Image) -> None:
    """Refuse a CMYK JPEG that does not say whether its inks are inverted: a negative face is still a face."""
    if picture.format in ("JPEG", "MPO") and picture.mode == "CMYK" and "adobe" not in picture.info:
        raise PictureRefused("unsupported: a CMYK JPEG without Adobe's marker may be a negative")


def _blur(picture: Image.Image, box: list[float]) -> None:
    left, top, right, bottom = box
    grow_x, grow_y = EXPAND * (right - left), EXPAND * (bottom - top)
    grown = np.array([left - grow_x, top - grow_y, right + grow_x, bottom + grow_y])
    area = _pixels(grown, (picture.height, picture.width))
    width, height = area[2] - area[0], area[3] - area[1]
    if width <= 0 or height <= 0:
        return
    region = picture.crop(area)
    cells = region.resize((min(CELLS, width), min(CELLS, height)), Image.Resampling.BOX)
    smooth = cells.resize(region.size, Image.Resampling.BILINEAR)
    mask = Image.new("L", region.size, 0)
    shape = (grown[0] - area[0], grown[1] - area[1], grown[2] - area[0], grown[3] - area[1])
    ImageDraw.Draw(mask).ellipse(shape, fill=255)
    picture.paste(smooth, area[:2], mask)


def _pixels(box: NDArray[np.floating], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the box in whole pixels within the picture: left, top, right, bottom (exclusive)."""
    height, width = shape[:2]
    left, top = np.clip(np.floor(box[:2]), 0, (width, height))
    right, bottom = np.clip(np.ceil(box[2:]), 0, (width, height))
    return int(left), int(top), int(right), int(bottom)
