"""Every form in which a photograph may arrive: the same face comes out, or a reason that somebody can act on."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from overt.recognition.errors import PictureRefused
from overt.recognition.pack import Pack
from overt.recognition.picture import MAX_PIXELS, load_picture

Photographs = Mapping[str, NDArray[np.uint8]]
# Lossless forms, and those that differ by rounding. The least seen over the six samples was 0.9997.
SAME = 0.999
# Forms that lose what a viewer hardly sees: compression, the few colours of a palette, a printer's inks. The
# least seen was 0.971 (a palette); different photographs of one man of the samples score 0.72 to 0.78.
NEAR = 0.97
# A picture without colour is no longer the original (0.91 to 0.96): it is held against 8-bit grey as well.
GREY = 0.90

TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: bytes, size_wh: tuple[int, int], *, bits: int, colour: int, extra: bytes = b"") -> bytes:
    """Return a PNG of raw rows (each led by its filter byte): Pillow writes no 16-bit colour itself."""
    header = struct.pack(">IIBBBBB", *size_wh, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def sixteen_bits(picture: Image.Image, mode: str, colour: int) -> bytes:
    values = np.atleast_3d(np.asarray(picture.convert(mode), np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\x00" + row.tobytes() for row in values)
    return png(rows, picture.size, bits=16, colour=colour)


def with_half_transparent_border(picture: Image.Image) -> Image.Image:
    alpha = Image.new("L", picture.size, 255)
    alpha.paste(120, (0, 0, picture.width, 8))
    picture = picture.copy()
    picture.putalpha(alpha)
    return picture


def palette_with_transparency(picture: Image.Image) -> bytes:
    few = picture.quantize(255)
    few.putpixel((0, 0), 255)
    return saved(few, "PNG", transparency=255)


def ycck(picture: Image.Image) -> bytes:
    """Return a JPEG whose inks are stored as luma and chroma, as Adobe's programs write it."""
    cyan, magenta, yellow, black = picture.convert("CMYK").split()
    inks = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    # Pillow inverts all four when it writes; only the black is stored so.
    planes = Image.merge("CMYK", (*(ImageOps.invert(ink) for ink in inks), black))
    content = saved(planes, "JPEG", quality=95)
    marker = content.index(b"Adobe") + len(b"Adobe") + 6
    assert content[marker] == 0
    return content[:marker] + b"\x02" + content[marker + 1 :]


def wide_gamut(picture: Image.Image) -> bytes:
    """Return the same colours written in a space with wider primaries (those of Adobe RGB, gamma 2.2)."""
    linear = (np.asarray(picture, np.float64) / 255 + 0.055) / 1.055
    linear = np.where(np.asarray(picture) <= 10, np.asarray(picture) / 255 / 12.92, np.abs(linear) ** 2.4)
    own = linear @ (np.linalg.inv(ADOBE_TO_XYZ_D50) @ SRGB_TO_XYZ_D50).T
    values = np.rint(255 * own.clip(0, 1) ** (1 / 2.2)).astype(np.uint8)
    return saved(Image.fromarray(values), "PNG", icc_profile=adobe_rgb())


# Primaries adapted to D50 as in ICC profiles (Lindbloom, "RGB/XYZ matrices").
SRGB_TO_XYZ_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
ADOBE_TO_XYZ_D50 = np.array(
    [[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197], [0.0194811, 0.0608902, 0.7448387]]
)


def adobe_rgb() -> bytes:
    """Return an ICC profile of version 2 with three primaries and one gamma, nothing more."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    curve = b"curv" + bytes(4) + struct.pack(">IHH", 1, round(2.2 * 256), 0)
    text = b"wide for a test\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    blocks = {b"desc": description, b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_TO_XYZ_D50.T, strict=True):
        blocks[name] = b"XYZ " + bytes(4) + fixed(*column)
    blocks |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data = struct.pack(">I", len(blocks)), b""
    start = 128 + 4 + 12 * len(blocks)
    for name, block in blocks.items():
        table += name + struct.pack(">II", start + len(data), len(block))
        data += block + bytes(-len(block) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(data), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249) + bytes(48)
    return header[:128] + table + data


def frames(picture: Image.Image) -> list[Image.Image]:
    return [Image.new(picture.mode, picture.size, colour) for colour in ("red", "blue")]


def turned(picture: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture.transpose(TURNED[orientation]) if orientation in TURNED else picture
    return saved(stored, "PNG", exif=exif)


Make = Callable[[Image.Image], bytes]
FORMS: Mapping[str, tuple[Make, float]] = {
    "grey": (lambda p: saved(p.convert("L"), "PNG"), GREY),
    "grey with alpha": (lambda p: saved(p.convert("LA"), "PNG"), GREY),
    "grey of 16 bits": (lambda p: sixteen_bits(p, "L", 0), GREY),
    "grey TIFF of floats": (lambda p: saved(floats(p), "TIFF"), GREY),
    "grey TIFF of 16 bits": (
        lambda p: saved(Image.fromarray(np.asarray(p.convert("L"), np.uint16) * 257), "TIFF"),
        GREY,
    ),
    "colour of 16 bits": (lambda p: sixteen_bits(p, "RGB", 2), SAME),
    "colour of 16 bits with alpha": (lambda p: sixteen_bits(p.convert("RGBA"), "RGBA", 6), SAME),
    "transparent border": (lambda p: saved(with_half_transparent_border(p), "PNG"), SAME),
    "palette": (lambda p: saved(p.quantize(255), "PNG"), NEAR),
    "palette with transparency": (palette_with_transparency, NEAR),
    "CMYK JPEG": (lambda p: saved(p.convert("CMYK"), "JPEG", quality=95), NEAR),
    "CMYK TIFF": (lambda p: saved(p.convert("CMYK"), "TIFF"), SAME),
    "YCCK JPEG": (ycck, NEAR),
    "progressive JPEG": (lambda p: saved(p, "JPEG", quality=95, progressive=True), NEAR),
    "JPEG of another sampling": (lambda p: saved(p, "JPEG", quality=90, subsampling=2), NEAR),
    "WebP": (lambda p: saved(p, "WEBP", quality=90), NEAR),
    "BMP": (lambda p: saved(p, "BMP"), SAME),
    "wide gamut": (wide_gamut, NEAR),
    "damaged profile": (lambda p: saved(p, "PNG", icc_profile=b"no profile at all"), SAME),
    "animated GIF": (lambda p: saved(p, "GIF", save_all=True, append_images=frames(p)), NEAR),
    "animated PNG": (lambda p: saved(p, "PNG", save_all=True, append_images=frames(p)), SAME),
    "animated WebP": (
        lambda p: saved(p, "WEBP", save_all=True, append_images=frames(p), lossless=True),
        SAME,
    ),
    "MPO": (lambda p: saved(p, "MPO", save_all=True, append_images=frames(p), quality=95), NEAR),
    "TIFF of many pages": (
        lambda p: saved(p, "TIFF", save_all=True, append_images=[Image.new("RGB", (8, 8))] * 500),
        SAME,
    ),
    **{f"EXIF orientation {number}": (partial(turned, orientation=number), SAME) for number in range(1, 9)},
}


def floats(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(picture.convert("L"), np.float32) / 255)


def template(pack: Pack, image_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    found = pack.detector.detect(image_HWC)
    assert len(found) == 1
    crop_HWC = pack.aligner.crop(image_HWC, found.landmarks_N52[0])
    template_D: NDArray[np.float32] = pack.embedder.embed(crop_HWC[np.newaxis])[0]
    return template_D


@pytest.mark.models
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["grace_hopper", "astronaut"])
def test_the_face_is_the_same_in_whatever_form_the_photograph_comes(
    pack: Pack, photographs: Photographs, form: str, name: str
) -> None:
    make, least = FORMS[form]
    content = make(Image.fromarray(photographs[name]))

    image_HWC = load_picture(content)

    assert image_HWC.shape == photographs[name].shape
    found_D = template(pack, image_HWC)
    assert found_D @ template(pack, photographs[name]) >= least
    if least == GREY:
        grey_HWC = np.asarray(Image.fromarray(photographs[name]).convert("L").convert("RGB"))
        assert found_D @ template(pack, grey_HWC) >= SAME


def test_a_colour_profile_is_followed() -> None:
    colours = Image.fromarray(np.random.default_rng(5).integers(60, 190, (8, 8, 3), np.uint8))

    image_HWC = load_picture(wide_gamut(colours))
    stored_HWC = np.asarray(Image.open(io.BytesIO(wide_gamut(colours))))

    assert np.abs(image_HWC.astype(int) - np.asarray(colours)).max() <= 3
    assert np.abs(stored_HWC.astype(int) - np.asarray(colours)).max() > 8


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_by_the_white_that_holds_them(white: float) -> None:
    values = np.linspace(0, white, 256, dtype=np.float32).reshape(16, 16)
    half = values / 2 if white > 1 else values * 0.5

    full_HWC = load_picture(saved(Image.fromarray(values), "TIFF"))
    half_HWC = load_picture(saved(Image.fromarray(half), "TIFF"))

    assert full_HWC[..., 0].ravel().tolist() == list(range(256))
    assert half_HWC.max() in (127, 128)


def bare(size_wh: tuple[int, int], kind: str) -> bytes:
    return saved(Image.new("RGB", size_wh, (90, 120, 90)), kind)


def test_one_pixel_is_a_picture() -> None:
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        assert load_picture(bare((1, 1), kind)).shape == (1, 1, 3)


def test_forty_megapixels_are_read_and_one_row_more_is_not() -> None:
    assert MAX_PIXELS == 8000 * 5000
    assert load_picture(bare((8000, 5000), "JPEG")).shape == (5000, 8000, 3)
    with pytest.raises(PictureRefused, match=r"too large: 8000 x 5001 pixels, at most 40 megapixels"):
        load_picture(bare((8000, 5001), "JPEG"))


# Pillow holds four bytes a pixel, what comes out three, and a source of another mode four more.
@pytest.mark.parametrize(("mode", "most_mb"), [("RGB", 330), ("CMYK", 500)])
def test_forty_megapixels_take_no_more_memory_than_two_copies(
    tmp_path: Path, mode: str, most_mb: int
) -> None:
    path = tmp_path / "p.jpg"
    Image.new(mode, (8000, 5000)).save(path)
    code = "import resource, sys, pathlib\nfrom overt.recognition.picture import load_picture\n"
    code += "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\nbefore = used()\n"
    code += "load_picture(pathlib.Path(sys.argv[1]))\nprint((used() - before) // 1024)"

    ran = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)

    assert int(ran.stdout) < most_mb


def declared(width: int, height: int) -> bytes:
    return png(b"", (width, height), bits=8, colour=2)


def gif_of_a_large_frame() -> bytes:
    """Return a GIF whose header says 1 x 1 and whose frame says 30,000 x 30,000."""
    small = bytearray(saved(Image.new("P", (1, 1)), "GIF"))
    frame = small.index(b"\x2c", 13)
    small[frame + 5 : frame + 9] = struct.pack("<HH", 30_000, 30_000)
    return bytes(small)


def text_bomb(kind: bytes, lead: bytes) -> bytes:
    """Return a PNG with a chunk that unpacks to 100 MB."""
    packed = zlib.compress(bytes(100_000_000), 9)
    return png(b"\x00\x00\x00\x00", (1, 1), bits=8, colour=2, extra=chunk(kind, lead + packed))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def noise(kind: str, **options: object) -> bytes:
    values = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    return saved(Image.fromarray(values), kind, **options)


def without_adobe_marker() -> bytes:
    content = noise_cmyk()
    start = content.index(b"\xff\xee")
    (length,) = struct.unpack(">H", content[start + 2 : start + 4])
    return content[:start] + content[start + 2 + length :]


def noise_cmyk() -> bytes:
    return saved(Image.new("CMYK", (64, 64), (10, 20, 30, 40)), "JPEG")


REFUSED: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "huge PNG": (lambda: declared(30_000, 30_000), "^too large"),
    "PNG of the largest size there is": (lambda: declared(2**31 - 1, 2**31 - 1), "^too large"),
    "GIF of a large frame": (gif_of_a_large_frame, "^(too large|truncated|unreadable)"),
    "bomb in iCCP": (lambda: text_bomb(b"iCCP", b"p\x00\x00"), "^unreadable: damaged"),
    "bomb in zTXt": (lambda: text_bomb(b"zTXt", b"p\x00\x00"), "^unreadable: damaged"),
    "bomb in iTXt": (lambda: text_bomb(b"iTXt", b"p\x00\x01\x00\x00\x00"), "^unreadable: damaged"),
    "cut JPEG": (lambda: cut(noise("JPEG")), "^truncated"),
    "cut progressive JPEG": (lambda: cut(noise("JPEG", progressive=True)), "^truncated"),
    "cut PNG": (lambda: cut(noise("PNG")), "^truncated"),
    "cut GIF": (lambda: cut(noise("GIF")), "^(truncated|unreadable)"),
    "cut WebP": (lambda: cut(noise("WEBP")), "^(truncated|unreadable|unsupported)"),
    "cut TIFF": (lambda: cut(noise("TIFF")), "^(truncated|unreadable)"),
    "cut BMP": (lambda: cut(noise("BMP")), "^(truncated|unreadable)"),
    "CMYK JPEG of unknown polarity": (without_adobe_marker, "^unsupported: a CMYK JPEG"),
    "floats that are no numbers": (
        lambda: saved(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"),
        "^unsupported: pixel values without a number",
    ),
    "empty": (lambda: b"", "^unsupported"),
    "text": (lambda: b"not a picture", "^unsupported"),
    "HTML": (lambda: b"<html><img></html>", "^unsupported"),
    "PDF": (lambda: b"%PDF-1.7\n" + bytes(500), "^unsupported"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "^unsupported"),
    "HEIC": (lambda: b"\x00\x00\x00\x18ftypheic" + bytes(500), "^unsupported"),
    "EPS": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" + bytes(500), "^unsupported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_with_a_reason(name: str) -> None:
    make, reason = REFUSED[name]

    with pytest.raises(PictureRefused, match=reason):
        load_picture(make())
