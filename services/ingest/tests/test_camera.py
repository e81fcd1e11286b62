import struct
from pathlib import Path

import numpy as np
import pytest
import simplejpeg  # type: ignore[import-untyped]

from overt.ingest.camera import open_source, probe_source
from overt.ingest.errors import SourceLost, SourceRefused
from overt.ingest.jpeg import JpegEncoder
from overt.ingest.picture import OpenOptions, Picture
from overt.ingest.source import Source, parse_source

from .clips import gradient, spoil, write_clip, write_sound

MS = 1_000_000


def read(path: Path, *, threads: int = 1) -> tuple[list[Picture], list[str]]:
    spoilt: list[str] = []
    options = OpenOptions(decode_threads=threads)
    with open_source(parse_source(str(path)), options, spoilt.append) as opened:
        return list(opened.pictures), spoilt


def test_a_clip_gives_every_picture_with_its_presentation_time(clip: Path) -> None:
    pictures, spoilt = read(clip)
    assert [picture.pts_ns for picture in pictures] == [n * 40 * MS for n in range(20)]
    assert spoilt == []


def test_several_decoding_threads_give_the_same_pictures(clip: Path) -> None:
    one, _ = read(clip)
    two, _ = read(clip, threads=2)
    assert len(one) == len(two) == 20
    for left, right in zip(one, two, strict=True):
        assert left.pts_ns == right.pts_ns
        assert bytes(left.frame.planes[0]) == bytes(right.frame.planes[0])


def test_uneven_presentation_times_are_kept(tmp_path: Path) -> None:
    pts = [0, 10, 15, 200, 201]
    pictures, _ = read(write_clip(tmp_path / "uneven.mkv", 5, pts=pts))
    assert [picture.pts_ns for picture in pictures] == [ms * MS for ms in pts]


def test_a_probe_says_what_a_clip_is(clip: Path) -> None:
    info = probe_source(str(clip))
    assert (info.width_px, info.height_px, info.rate_hz) == (160, 96, 25.0)


def test_noise_in_the_middle_is_counted_and_the_rest_is_decoded(clip: Path, tmp_path: Path) -> None:
    pictures, spoilt = read(spoil(clip, tmp_path / "spoilt.mp4", 0.55, 0.75))
    assert 5 <= len(pictures) < 20
    assert set(spoilt) == {"corrupt"}


def test_a_file_that_is_cut_off_gives_what_is_left_of_it(clip: Path, tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", 20)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert 5 <= len(read(cut)[0]) < 20


def test_a_clip_whose_pictures_are_all_noise_is_refused(clip: Path, tmp_path: Path) -> None:
    path = spoil(clip, tmp_path / "noise.mp4", 0.0, 1.0)
    with pytest.raises(SourceRefused, match=r"noise.mp4 holds nothing that can be decoded"):
        probe_source(str(path))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "Invalid data found"),
        ("noise.mp4", b"\x00\x01noise" * 999, "Invalid data found"),
        ("page.html", b"<html>hello world</html>" * 99, "Invalid data found"),
        ("text.txt", b"hello world\n" * 99, "its format is none of video"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile clip.mp4\n", "its format is none of video"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceRefused, match=f"{name} is no video that can be read: {reason}") as refused:
        probe_source(str(path))
    assert "\n" not in str(refused.value)


def test_a_playlist_makes_nobody_fetch_what_it_names(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "part.ts").write_bytes(write_clip(tmp_path / "whole.ts", 5).read_bytes())
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\npart.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(SourceRefused, match="its format is none of video"):
        probe_source(str(playlist))


def test_a_header_without_the_pictures_is_refused(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(SourceRefused, match=r"cut.mp4 is no video that can be read"):
        probe_source(str(path))


def test_sound_without_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match=r"sound.mp4 holds no video \(it holds: audio\)"):
        probe_source(str(write_sound(tmp_path / "sound.mp4")))


def test_a_missing_file_and_an_unreadable_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="there is no file or folder"):
        probe_source(str(tmp_path / "nowhere.mp4"))


def test_a_name_that_looks_like_an_address_is_still_a_file(tmp_path: Path, clip: Path) -> None:
    odd = tmp_path / "concat:gate|2.mp4"
    odd.write_bytes(clip.read_bytes())
    assert probe_source(str(odd)).width_px == 160


def test_a_device_that_is_no_camera_is_lost_in_one_line() -> None:
    with pytest.raises(SourceLost, match="/dev/null can't be opened"):
        probe_source("/dev/null")


def test_a_camera_out_of_reach_is_lost_without_showing_its_password() -> None:
    source = Source("rtsp", "rtsp://operator:hunter2@127.0.0.1:9/s?key=hunter2", "rtsp://***@127.0.0.1:9/s")
    with (
        pytest.raises(SourceLost, match=r"can't be opened: Connection refused") as lost,
        open_source(source, OpenOptions(open_timeout_s=5), print),
    ):
        pass
    assert "hunter2" not in str(lost.value)


def test_a_clip_that_changes_its_size_is_decoded_on(tmp_path: Path) -> None:
    # A raw H.264 stream: the second part brings a parameter set of its own.
    both = tmp_path / "both.h264"
    small = write_clip(tmp_path / "small.h264", 5, size_px=(160, 96)).read_bytes()
    large = write_clip(tmp_path / "large.h264", 5, size_px=(320, 192)).read_bytes()
    both.write_bytes(small + large)
    pictures, _ = read(both)
    sizes = [(picture.frame.width, picture.frame.height) for picture in pictures]
    assert sizes == [(160, 96)] * 5 + [(320, 192)] * 5


def test_a_clip_without_presentation_times_is_decoded(tmp_path: Path) -> None:
    pictures, _ = read(write_clip(tmp_path / "bare.h264", 5))
    assert len(pictures) == 5
    assert pictures[0].pts_ns is None


def test_a_clip_taken_with_a_turned_phone_comes_out_upright(clip: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    content = bytearray(clip.read_bytes())
    matrix = content.index(b"tkhd") + 44
    # ISO/IEC 14496-12, 8.3.2: {a b u; c d v; x y w} takes (x, y) to (ax + cy, bx + dy): here right to down.
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    turned.write_bytes(content)
    jpeg, width_px, height_px = JpegEncoder(95).encode(read(turned)[0][0].frame)
    assert (width_px, height_px) == (96, 160)
    upright = np.rot90(gradient(160, 96), -1).astype(np.int16)
    assert np.abs(simplejpeg.decode_jpeg(jpeg) - upright).mean() < 6
