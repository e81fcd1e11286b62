from pathlib import Path

import pytest

from overt.ingest.errors import SourceRefused
from overt.ingest.source import parse_source, redacted


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://operator:hunter2@10.0.0.7:554/stream/1", "rtsp://***@10.0.0.7:554/stream/1"),
        ("rtsp://hunter2@host/s", "rtsp://***@host/s"),
        ("rtsp://host/s?token=hunter2", "rtsp://host/s?***"),
        ("rtsp://host/s#hunter2", "rtsp://host/s"),
        ("rtsps://u:hunter2@[::1]:322/s", "rtsps://***@[::1]:322/s"),
        ("rtsp://u:hunter2@host:port/s", "rtsp://***"),
        ("rtsp://u:hunt@er2:hunter2@host/s", "rtsp://***@host/s"),
        ("clips/gate one.mp4", "clips/gate one.mp4"),
        ("rtsp://host:554/stream", "rtsp://host:554/stream"),
    ],
)
def test_an_address_is_shown_without_its_credentials(source: str, shown: str) -> None:
    assert redacted(source) == shown
    assert "hunter2" not in redacted(source)


def test_the_kind_of_a_source_follows_from_its_name(tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    file.touch()
    assert parse_source(str(file)).kind == "file"
    assert parse_source(str(tmp_path)).kind == "folder"
    assert parse_source("RTSP://host/stream").kind == "rtsp"
    assert parse_source("/dev/null").kind == "device"
    assert not parse_source(str(file)).is_endless
    assert parse_source("rtsp://host/stream").is_endless


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nowhere.mp4", "there is no file or folder nowhere.mp4"),
        ("/dev/video-that-is-none", "there is no device /dev/video-that-is-none"),
        ("http://u:hunter2@host/clip.mp4", "http://\\*\\*\\*@host/clip.mp4 can't be read"),
        ("rtsp://", "names no host"),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(source: str, reason: str) -> None:
    with pytest.raises(SourceRefused, match=reason) as refused:
        parse_source(source)
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_source_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(parse_source("rtsp://u:hunter2@host/s"))
