"""Clips with the alerts they should raise: what is read, what is compared, and a run that was cut off."""

from pathlib import Path

import pytest

from overt.cli.evaluate import video
from overt.cli.evaluate.clips import Clip, ClipSet, Outcome, compare, read_clips
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.video import VideoChoice, in_words, run_video
from overt.cli.summary import AlertSummary, Summary
from overt.recognition.pack import pack_info
from overt.runtime.clock import ManualClock


def alerts(*entries: str) -> tuple[AlertSummary, ...]:
    return tuple(AlertSummary(entry, "camera-1", 0.7, 0.55, 100.0) for entry in entries)


@pytest.mark.parametrize(
    ("expected", "raised", "outcome"),
    [
        ((), (), Outcome((), (), (), ())),
        (("anna",), ("anna",), Outcome(("anna",), (), (), ())),
        (("anna", "anna"), ("anna",), Outcome(("anna",), ("anna",), (), ())),
        (("anna",), ("anna", "anna"), Outcome(("anna",), (), (), ("anna",))),
        (("anna",), ("berta", "berta"), Outcome((), ("anna",), ("berta", "berta"), ())),
        ((), ("anna",), Outcome((), (), ("anna",), ())),
    ],
)
def test_an_alert_is_found_missed_false_or_repeated(
    expected: tuple[str, ...], raised: tuple[str, ...], outcome: Outcome
) -> None:
    assert compare(expected, alerts(*raised)) == outcome


@pytest.fixture
def clips_file(tmp_path: Path) -> Path:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "anna.jpg").write_text("a picture")
    for name in ("gate.mp4", "empty.mp4"):
        (tmp_path / name).write_text(name)
    file = tmp_path / "clips.toml"
    file.write_text(
        'watchlist = "people"\n[[clips]]\nvideo = "gate.mp4"\nexpected = ["anna"]\n[[clips]]\nvideo = "empty.mp4"\n'
    )
    return file


def test_paths_begin_in_the_folder_of_the_file(clips_file: Path) -> None:
    folder = clips_file.parent
    assert read_clips(clips_file) == ClipSet(
        str(folder / "people"),
        (Clip(str(folder / "gate.mp4"), ("anna",)), Clip(str(folder / "empty.mp4"))),
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('["anna"]', '["nobody"]', "expects nobody, not on the list"),
        ("expected", "expects", "unknown field `expects`"),
        ("watchlist =", "list =", "is no list of clips"),
        ("[[clips]]", "[[clips", "is no list of clips"),
        ('["anna"]', "9" * 5000, "is no list of clips"),
        ('["anna"]', "[" * 50_000, "is no list of clips"),
    ],
)
def test_a_file_that_is_wrong_is_refused(clips_file: Path, old: str, new: str, reason: str) -> None:
    clips_file.write_text(clips_file.read_text().replace(old, new))
    with pytest.raises(EvaluationRefused, match=reason):
        read_clips(clips_file)


def summary(*entries: str, complete: bool = True) -> Summary:
    return Summary(100, 0, 40, 4, 9, alerts(*entries), 3.0, complete)


def choice(out: Path) -> VideoChoice:
    return VideoChoice("cpu", "cpu", None, out, out / "out")


def test_every_clip_counts_and_the_rates_have_their_intervals(
    clips_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = iter([(summary("anna"), 0), (summary("anna"), 0)])
    monkeypatch.setattr(video, "up", lambda _options: next(runs))

    result = run_video(read_clips(clips_file), choice(tmp_path), pack_info("cpu"), ManualClock(1.0))

    assert result.recognised is not None
    assert (result.recognised.count, result.recognised.total) == (1, 1)
    assert result.false_alerts is not None
    assert (result.false_alerts.count, result.false_alerts.total) == (1, 8)
    assert in_words(result).splitlines()[:2] == ["gate.mp4: found anna", "empty.mp4: FALSE anna"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "unsigned" in page
    assert "http" not in page
    assert (tmp_path / "out" / "clips.csv").read_text().splitlines()[1] == "gate.mp4,anna,,,,100,40,4,3.0"


@pytest.mark.parametrize("ended", [(summary(complete=False), 0), (summary(), 1)])
def test_a_run_that_was_cut_off_reports_nothing(
    ended: tuple[Summary, int], clips_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "up", lambda _options: ended)
    with pytest.raises(EvaluationRefused, match="was not seen to its end"):
        run_video(read_clips(clips_file), choice(tmp_path), pack_info("cpu"), ManualClock(1.0))
    assert not (tmp_path / "out" / "result.json").exists()
