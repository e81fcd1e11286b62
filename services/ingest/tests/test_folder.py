import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overt.ingest.camera import open_source, probe_source
from overt.ingest.errors import SourceRefused
from overt.ingest.picture import OpenOptions, Picture
from overt.ingest.source import parse_source

from .clips import gradient


def write(path: Path, number: int = 0, size_px: tuple[int, int] = (60, 40), **options: object) -> Path:
    Image.fromarray(gradient(*size_px, number)).save(path, **options)  # type: ignore[arg-type]
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def read(folder: Path, rate_hz: float = 10) -> tuple[list[Picture], list[str]]:
    spoilt: list[str] = []
    with open_source(parse_source(str(folder)), OpenOptions(rate_hz=rate_hz), spoilt.append) as opened:
        return list(opened.pictures), spoilt


def test_pictures_come_in_name_order_at_the_target_rate(tmp_path: Path) -> None:
    for name, number in (("b.png", 1), ("c.JPG", 2), ("a.webp", 0), ("notes.txt", 9)):
        if name == "notes.txt":
            (tmp_path / name).write_text("no picture")
        else:
            write(tmp_path / name, number)
    pictures, spoilt = read(tmp_path)
    greens = [round(float(np.asarray(p.frame.to_ndarray(format="rgb24"))[:, :, 1].mean())) for p in pictures]
    assert greens == pytest.approx([40, 44, 48], abs=2)
    assert [picture.pts_ns for picture in pictures] == [0, 100_000_000, 200_000_000]
    assert spoilt == []


def test_a_picture_that_is_broken_is_counted_and_leaves_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "1.jpg")
    cut = write(tmp_path / "2.jpg")
    cut.write_bytes(cut.read_bytes()[:-200])
    (tmp_path / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nnoise")
    write(tmp_path / "4.jpg")
    pictures, spoilt = read(tmp_path)
    assert [picture.pts_ns for picture in pictures] == [0, 300_000_000]
    assert spoilt == ["corrupt", "corrupt"]


def test_a_picture_of_thirty_thousand_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    size = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(png)
    with pytest.raises(SourceRefused, match="holds only oversize pictures"):
        probe_source(str(tmp_path))
    assert read(tmp_path)[1] == ["oversize"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match=r"holds no pictures \(.bmp, .jpeg, .jpg, .png, .webp\)"):
        probe_source(str(tmp_path))


def test_a_folder_of_broken_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceRefused, match="holds nothing that can be decoded"):
        probe_source(str(tmp_path))


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF 2.3, Orientation: turn a quarter clockwise to show
    write(tmp_path / "1.jpg", exif=exif)
    frame = read(tmp_path)[0][0].frame
    assert (frame.width, frame.height) == (40, 60)


def test_grey_and_transparent_pictures_are_pictures(tmp_path: Path) -> None:
    Image.new("L", (40, 30), 90).save(tmp_path / "1.png")
    Image.new("RGBA", (40, 30), (10, 20, 30, 128)).save(tmp_path / "2.png")
    assert len(read(tmp_path)[0]) == 2
