"""Bright line: no face of anybody who raised no alert is on disk, in a log or in a database after a run."""

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from overt.cli.demo import DemoFiles
from overt.cli.embedded import UpOptions, up
from overt.contracts.messages import FaceFound, FrameCaptured, MatchMade, TemplateMade
from overt.contracts.wire import Out, TopicWire
from overt.runtime import logs

from .running import CACHE

pytestmark = [pytest.mark.e2e, pytest.mark.models]
WINDOW_BYTES = 48
STEP_BYTES = 4_096


class Biometrics:
    """Everything of a face that went over the broker, in the clear, as short pieces to search for."""

    def __init__(self) -> None:
        self.pieces: set[bytes] = set()
        self.matched: list[bytes] = []
        self.fused = 0

    def note(self, message: msgspec.Struct) -> None:
        if isinstance(message, FrameCaptured):
            # Past the header, which all pictures of one encoder share.
            self._take(message.jpeg[1_024:])
        elif isinstance(message, FaceFound):
            for content in (message.shot.crop_rgb, message.shot.portrait_jpeg, message.shot.context_jpeg):
                self._take(content[1_024:])
        elif isinstance(message, TemplateMade):
            self.take_template(message.template)
            if message.fused is not None:
                self.fused += 1
                self.take_template(message.fused)
        elif isinstance(message, MatchMade):
            self.matched.append(message.shot.crop_rgb)

    def take_template(self, template: bytes) -> None:
        for piece in (template[:WINDOW_BYTES], template[-WINDOW_BYTES:]):
            # As it is, and as a careless log line would write it.
            self.pieces |= {piece, piece.hex().encode(), base64.b64encode(piece)}

    def _take(self, content: bytes) -> None:
        for start in range(0, len(content) - WINDOW_BYTES, STEP_BYTES):
            piece = content[start : start + WINDOW_BYTES]
            if len(set(piece)) > 16:  # a flat piece of wall is nobody's face
                self.pieces.add(piece)

    def found_in(self, folder: Path) -> list[str]:
        """Return every file below `folder` that holds a piece."""
        return [str(path) for path in _files(folder) if self._is_in(path.read_bytes())]

    def _is_in(self, content: bytes) -> bool:
        return any(piece in content for piece in self.pieces)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.fixture
def tapped(monkeypatch: pytest.MonkeyPatch) -> Biometrics:
    seen = Biometrics()
    seal = TopicWire.seal

    def seal_and_note(self: TopicWire[msgspec.Struct], out: Out) -> object:
        seen.note(out.message)
        return seal(self, out)

    monkeypatch.setattr(TopicWire, "seal", seal_and_note)
    return seen


def test_after_a_run_no_face_and_no_template_is_anywhere_in_the_data_folder(
    demo_files: DemoFiles,
    tmp_path: Path,
    tapped: Biometrics,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    scratch, data = tmp_path / "tmp", tmp_path / "data"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    logs.configure("DEBUG", "json")
    summary, code = up(
        UpOptions(
            videos=(str(demo_files.clip),),
            watchlist=demo_files.watchlist,
            data_dir=data,
            cache_dir=CACHE,
            category="blue_list",
            live=False,
            once=True,
            port=0,
        )
    )
    assert code == 0
    assert len(summary.alerts) == 1
    assert len(tapped.pieces) > 1_000
    assert tapped.fused > 0
    assert len(list(_files(data))) > 3
    assert tapped.found_in(data) == []
    assert tapped.found_in(scratch) == []
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "all").write_text("".join(capfd.readouterr()))
    assert tapped.found_in(tmp_path / "log") == []


def test_the_search_finds_a_planted_crop_and_a_planted_template(tmp_path: Path) -> None:
    seen = Biometrics()
    crop = bytes(range(256)) * 147
    template = bytes(range(255, -1, -1)) * 2
    seen._take(crop)
    seen.take_template(template)
    (tmp_path / "clean.db").write_bytes(b"header footer")
    (tmp_path / "crop.db").write_bytes(b"header" + crop + b"footer")
    (tmp_path / "template.db").write_bytes(b"header" + template + b"footer")
    (tmp_path / "template.log").write_text(f"found {template.hex()}")
    found = ("crop.db", "template.db", "template.log")
    assert seen.found_in(tmp_path) == [str(tmp_path / name) for name in found]
