"""Turns the pixels of any picture into 8-bit sRGB, as the networks were trained on."""

import functools
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from overt.recognition.errors import PictureRefused

# White of pictures with more than 8 bits: what 1.0, 8, 16 bits can hold. The smallest that holds the values.
WHITES = (1.0, 255.0, 65535.0)
# Rows converted at a time: bounds the memory that a picture of 40 megapixels takes.
ROWS = 256
SRGB_WORD = "sRGB"


def to_srgb(picture: Image.Image) -> Image.Image:
    """Return the picture in mode RGB, its transparent parts white, its colours those of sRGB.

    A colour profile is followed, also CMYK's; one that is damaged or belongs to another kind of picture is
    passed over, as viewers do. Raises PictureRefused for values that are no numbers.
    """
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith(("I", "F")):
        return _eight_bits(picture).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    if profile:
        picture = _by_profile(picture, profile)
    if picture.mode == "RGBA":
        return _on_white(picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """Return an RGB picture as H x W x 3 without a second copy of it in between."""
    image_HWC = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, ROWS):
        bottom = min(top + ROWS, picture.height)
        image_HWC[top:bottom] = np.asarray(picture.crop((0, top, picture.width, bottom)))
    return image_HWC


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image:
    target = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if SRGB_WORD in ImageCms.getProfileDescription(source):
            return picture
        converted = ImageCms.profileToProfile(picture, source, _srgb(), outputMode=target)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return picture if converted is None else converted


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return a grey picture of 16 or 32 bits, or of floats, with its white at 255."""
    grey_HW = np.empty((picture.height, picture.width), np.uint8)
    bands = [(top, min(top + ROWS, picture.height)) for top in range(0, picture.height, ROWS)]
    least = WHITES[-1] if picture.mode.startswith("I") else WHITES[0]
    highest = max(float(_values(picture, band).max()) for band in bands)
    white = next((white for white in WHITES if white >= max(highest, least)), highest)
    for top, bottom in bands:
        values = _values(picture, (top, bottom))
        grey_HW[top:bottom] = np.rint(values.clip(0) * (255.0 / white))
    return Image.fromarray(grey_HW)


def _values(picture: Image.Image, rows: tuple[int, int]) -> NDArray[np.float64]:
    values = np.asarray(picture.crop((0, rows[0], picture.width, rows[1])), np.float64)
    if not np.isfinite(values).all():
        raise PictureRefused("unsupported: pixel values without a number")
    return values
