import contextlib
import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from overt.recognition.align import align_crop
from overt.recognition.pack import Pack
from overt.recognition.picture import PictureRefused, blur_faces, load_picture

Photographs = Mapping[str, NDArray[np.uint8]]


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def corners() -> Image.Image:
    """Return 40 x 20 pixels, red in the corner on the upper left, else grey."""
    picture = Image.new("RGB", (40, 20), (90, 90, 90))
    picture.paste((250, 0, 0), (0, 0, 10, 5))
    return picture


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_as_its_camera_said(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = corners().transpose(undo[orientation]) if orientation in undo else corners()

    image_HWC = load_picture(encoded(stored, "PNG", exif=exif))

    assert np.array_equal(image_HWC, np.asarray(corners()))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "PNG"),
        ("L", "JPEG"),
        ("1", "PNG"),
        ("P", "PNG"),
        ("CMYK", "JPEG"),
        ("RGB", "WEBP"),
        ("RGB", "BMP"),
    ],
)
def test_every_kind_of_picture_becomes_three_bands_of_eight_bits(mode: str, kind: str) -> None:
    image_HWC = load_picture(encoded(corners().convert(mode), kind))

    assert image_HWC.shape == (20, 40, 3)
    assert image_HWC.dtype == np.uint8


def test_cmyk_keeps_its_colours() -> None:
    image_HWC = load_picture(encoded(Image.new("RGB", (32, 32), (200, 100, 50)).convert("CMYK"), "JPEG"))

    assert np.abs(image_HWC.astype(int) - [200, 100, 50]).max() < 12


def test_what_is_transparent_becomes_white() -> None:
    picture = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    picture.putpixel((0, 0), (10, 20, 30, 255))

    image_HWC = load_picture(encoded(picture, "PNG"))

    assert image_HWC[0, 0].tolist() == [10, 20, 30]
    assert image_HWC[1, 1].tolist() == [255, 255, 255]


def test_sixteen_bits_keep_their_range() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)

    image_HWC = load_picture(encoded(Image.fromarray(values), "PNG"))

    assert np.abs(image_HWC[..., 0].astype(int).ravel() - np.arange(256)).max() <= 1


def test_of_an_animation_it_is_the_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]

    image_HWC = load_picture(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert image_HWC[0, 0].tolist() == [255, 0, 0]


def test_a_path_and_its_content_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(encoded(corners(), "PNG"))

    assert np.array_equal(load_picture(path), load_picture(path.read_bytes()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_off_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    content = encoded(Image.fromarray(noise), kind)

    with pytest.raises(PictureRefused, match=r"truncated|unreadable"):
        load_picture(content[: len(content) // 2])


def test_a_cut_off_photograph_is_said_to_be_truncated() -> None:
    content = encoded(Image.effect_noise((300, 300), 80), "JPEG")

    with pytest.raises(PictureRefused, match=r"^truncated"):
        load_picture(content[: len(content) // 2])


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7 ...", b"\x00" * 1000, b"<svg></svg>"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(PictureRefused, match=r"^unsupported"):
        load_picture(content)


def test_a_huge_picture_is_refused_before_it_is_decoded() -> None:
    bomb = encoded(Image.new("1", (30_000, 30_000)), "PNG")
    assert len(bomb) < 1_000_000

    with pytest.raises(PictureRefused, match=r"^too large"):
        load_picture(bomb)
    with pytest.raises(PictureRefused, match="too large: 40 x 20 pixels"):
        load_picture(encoded(corners(), "PNG"), max_pixels=799)


def test_a_huge_file_is_refused_and_never_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)

    with pytest.raises(PictureRefused, match="too large: more than 30 MB"):
        load_picture(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(PictureRefused, match=r"^unreadable"):
            load_picture(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"]))
def test_a_damaged_file_gives_a_picture_or_a_reason_and_never_another_error(
    data: st.DataObject, kind: str
) -> None:
    content = bytearray(encoded(corners(), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    with contextlib.suppress(PictureRefused):
        assert load_picture(bytes(content), max_pixels=100_000).shape[2] == 3


@pytest.mark.parametrize("kind", ["WEBP", "TIFF"])
def test_every_kind_is_read_by_a_process_that_never_wrote_one(tmp_path: Path, kind: str) -> None:
    (tmp_path / "p").write_bytes(encoded(corners(), kind))
    code = "import sys, pathlib\nfrom overt.recognition.picture import load_picture\n"
    code += "assert load_picture(pathlib.Path(sys.argv[1])).shape == (20, 40, 3)"

    subprocess.run([sys.executable, "-c", code, str(tmp_path / "p")], check=True)


def test_blurring_leaves_the_given_picture_and_the_kept_face_alone() -> None:
    image_HWC = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    before_HWC = image_HWC.copy()
    boxes_N4 = np.array([[50, 50, 120, 140], [110, 60, 180, 150]], np.float32)  # they overlap

    blurred_HWC = blur_faces(image_HWC, boxes_N4, keep=0)

    assert np.array_equal(image_HWC, before_HWC)
    # The boxes share 110 to 120, which is parted about the middle.
    assert np.array_equal(blurred_HWC[50:140, 50:110], image_HWC[50:140, 50:110])
    assert not np.array_equal(blurred_HWC[65:140, 118:120], image_HWC[65:140, 118:120])
    assert (blurred_HWC[70:140, 130:170] != image_HWC[70:140, 130:170]).mean() > 0.9
    assert np.array_equal(blurred_HWC[:20], image_HWC[:20])


def test_a_blurred_face_holds_no_more_than_36_colours_worth_of_detail() -> None:
    """Two pictures with the same averages of 6 x 6 cells blur to the same: what differed is gone."""
    random = np.random.default_rng(0)
    image_HWC = np.full((96, 96, 3), 128, np.uint8)
    other_HWC = image_HWC.copy()
    box = np.array([[18.0, 18.0, 78.0, 78.0]])  # grown by 0.3: 0 to 96, cells of 16
    for row in range(0, 96, 16):
        for column in range(0, 96, 16):
            change = random.permutation(np.repeat([-60, 60], 128)).reshape(16, 16, 1)
            other_HWC[row : row + 16, column : column + 16] = 128 + change

    first_HWC = blur_faces(image_HWC, box, keep=None)
    second_HWC = blur_faces(other_HWC, box, keep=None)

    assert np.abs(first_HWC.astype(int) - second_HWC)[30:66, 30:66].max() <= 1


def test_boxes_beyond_the_picture_do_no_harm() -> None:
    image_HWC = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    boxes_N4 = np.array([[-50, -50, 10, 10], [500, 500, 600, 600], [59, 59, 61, 61]], np.float32)

    blurred_HWC = blur_faces(image_HWC, boxes_N4, keep=1)

    assert blurred_HWC.shape == image_HWC.shape
    assert (blurred_HWC[:10, :10] != image_HWC[:10, :10]).any()


@pytest.mark.models
def test_a_blurred_face_is_recognised_neither_by_the_detector_nor_by_the_embedder(
    pack: Pack, photographs: Photographs
) -> None:
    threshold = pack.info.calibration.default_threshold
    assert threshold is not None
    for name, image_HWC in photographs.items():
        found = pack.detector.detect(image_HWC)
        blurred_HWC = blur_faces(image_HWC, found.boxes_N4, keep=None)
        crops_NHWC = np.stack([align_crop(one, found.landmarks_N52[0]) for one in (image_HWC, blurred_HWC)])
        first_D, second_D = pack.embedder.embed(crops_NHWC)
        assert float(first_D @ second_D) < threshold / 2, name


def test_where_two_boxes_meet_each_pixel_goes_with_the_nearer_face() -> None:
    image_HWC = np.random.default_rng(3).integers(0, 255, (120, 200, 3), dtype=np.uint8)
    boxes_N4 = np.array([[20, 20, 100, 100], [70, 20, 150, 100]], np.float32)
    blurred_HWC = blur_faces(image_HWC, boxes_N4, keep=0)
    nearer_the_kept, nearer_the_other = (slice(40, 80), slice(40, 80)), (slice(40, 80), slice(90, 100))
    assert np.array_equal(blurred_HWC[nearer_the_kept], image_HWC[nearer_the_kept])
    assert not np.array_equal(blurred_HWC[nearer_the_other], image_HWC[nearer_the_other])
    changed = np.abs(blurred_HWC[nearer_the_other].astype(int) - image_HWC[nearer_the_other]).mean()
    assert changed > 30


def test_a_small_face_on_a_large_kept_one_is_blurred_whole() -> None:
    image_HWC = np.random.default_rng(4).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    boxes_N4 = np.array([[40, 40, 230, 270], [60, 50, 140, 150]], np.float32)
    blurred_HWC = blur_faces(image_HWC, boxes_N4, keep=0)
    small = (slice(60, 140), slice(75, 125))
    assert (blurred_HWC[small] != image_HWC[small]).any(axis=2).mean() > 0.98
    assert np.array_equal(blurred_HWC[180:260, 60:210], image_HWC[180:260, 60:210])
