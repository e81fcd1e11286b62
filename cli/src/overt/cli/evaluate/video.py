"""Protocol `video`: runs the whole pipeline over each clip and compares the alerts with those expected."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from overt.cli.embedded import UpOptions, up
from overt.cli.evaluate.clips import Clip, ClipSet, Outcome, compare
from overt.cli.evaluate.dataset import data_set_sha256
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.output import make_folder, write_json, write_table, writing
from overt.cli.evaluate.plots import alerts as alerts_plot
from overt.cli.evaluate.report import environment
from overt.cli.evaluate.result import counted
from overt.cli.evaluate.words import rate
from overt.cli.progress import counting, say, steps
from overt.cli.summary import Summary
from overt.contracts.evidence import CountedRate
from overt.control.folder import read_folder
from overt.recognition.metrics import proportion
from overt.recognition.onnx_session import Device
from overt.recognition.pack import PackInfo
from overt.runtime.clock import Clock


class ClipResult(msgspec.Struct, frozen=True):
    """One clip: what the run came to, and its alerts against the expected ones."""

    video: str
    outcome: Outcome
    run: Summary


class VideoResult(msgspec.Struct, frozen=True):
    """All clips. A rate is None where nothing was there to count.

    `recognised`: true recognition rate, expected alerts that were raised (a person that could not be
    enrolled is missed). `false_alerts`: false alerts of all passes of a face before a camera.
    """

    pack: str
    fingerprint: str
    data_set_sha256: str
    threshold: float
    list_size: int
    recognised: CountedRate | None
    false_alerts: CountedRate | None
    clips: tuple[ClipResult, ...]
    tool: str
    measured_at_s: float
    signed: bool = False


class VideoChoice(msgspec.Struct, frozen=True):
    """What the pipeline is run with."""

    pack: str
    device: Device
    threshold: float | None
    cache: Path
    out: Path


def run_video(clips: ClipSet, choice: VideoChoice, info: PackInfo, clock: Clock) -> VideoResult:
    """Run every clip as fast as it goes, dropping no picture, and write what came out.

    Raises EvaluationRefused when a run did not end by itself; what `overt up` raises.
    """
    threshold = choice.threshold if choice.threshold is not None else info.calibration.default_threshold
    if threshold is None:
        raise EvaluationRefused(f"pack {info.name} was never measured and has no threshold: name one")
    make_folder(choice.out)
    with steps() as report:
        digest = data_set_sha256(_files(clips), counting(report, "hashing the clips"))
    results = tuple(
        _run_clip(clip, clips, number=number, choice=choice)
        for number, clip in enumerate(clips.clips, start=1)
    )
    false = sum(len(each.outcome.false) for each in results)
    found = sum(len(each.outcome.found) for each in results)
    result = VideoResult(
        pack=info.name,
        fingerprint=info.fingerprint,
        data_set_sha256=digest,
        threshold=threshold,
        list_size=len({file.entry_id for file in read_folder(Path(clips.watchlist))}),
        recognised=_rate(found, found + sum(len(each.outcome.missed) for each in results)),
        false_alerts=_rate(false, max(false, sum(each.run.tracks for each in results))),
        clips=results,
        tool=f"overt {version('overt-cli')}",
        measured_at_s=clock.now_s(),
    )
    with writing(choice.out):
        _write(choice.out, result)
    return result


def _run_clip(clip: Clip, clips: ClipSet, *, number: int, choice: VideoChoice) -> ClipResult:
    say(f"clip {number} of {len(clips.clips)}: {Path(clip.video).name}")
    with tempfile.TemporaryDirectory(prefix="overt-evaluate-") as folder:
        summary, code = up(
            UpOptions(
                videos=(clip.video,),
                watchlist=Path(clips.watchlist),
                data_dir=Path(folder) / "data",
                cache_dir=choice.cache,
                place="evaluation",
                threshold=choice.threshold,
                pack=choice.pack,
                device=choice.device,
                live=False,
                once=True,
                port=0,
            )
        )
    if code != 0 or not summary.complete:
        raise EvaluationRefused(f"{clip.video} was not seen to its end: nothing is reported")
    return ClipResult(Path(clip.video).name, compare(clip.expected, summary.alerts), summary)


def _rate(count: int, total: int) -> CountedRate | None:
    return counted(proportion(count, total)) if total else None


def _files(clips: ClipSet) -> dict[str, Path]:
    videos = {f"clips/{number}": Path(clip.video) for number, clip in enumerate(clips.clips)}
    return videos | {f"watchlist/{file.name}": file.path for file in read_folder(Path(clips.watchlist))}


def _write(out: Path, result: VideoResult) -> None:
    write_json(out / "result.json", result)
    columns = ("video", "found", "missed", "false", "repeated", "frames", "faces", "passes", "seconds")
    write_table(out / "clips.csv", columns, (_row(each) for each in result.clips))
    page = (
        environment()
        .get_template("video.html")
        .render(
            result=result,
            svg=alerts_plot(_points(result.clips), result.threshold),
            measured_at=datetime.fromtimestamp(result.measured_at_s, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )
    (out / "report.html").write_text(page, encoding="utf-8")


def _row(each: ClipResult) -> tuple[object, ...]:
    outcome, run = each.outcome, each.run
    entries = (outcome.found, outcome.missed, outcome.false, outcome.repeated)
    names = (" ".join(names) for names in entries)
    return (each.video, *names, run.frames_read, run.faces_seen, run.tracks, run.seconds)


def _points(results: Sequence[ClipResult]) -> list[tuple[str, float, bool]]:
    """Return the clip, the similarity and whether it is a false one, of each alert."""
    return [
        (each.video, alert.similarity, alert.entry in each.outcome.false)
        for each in results
        for alert in each.run.alerts
    ]


def in_words(result: VideoResult) -> str:
    """Return the figures, a line a clip."""
    lines = []
    for each in result.clips:
        parts = [
            f"{kind} {' '.join(names)}"
            for kind, names in (
                ("found", each.outcome.found),
                ("MISSED", each.outcome.missed),
                ("FALSE", each.outcome.false),
                ("repeated", each.outcome.repeated),
            )
            if names
        ]
        lines.append(f"{each.video}: {'; '.join(parts) or 'no alert, as expected'}")
    if result.recognised is not None:
        lines.append(f"true recognition rate {rate(result.recognised)} expected alerts")
    if result.false_alerts is not None:
        lines.append(f"false alerts {rate(result.false_alerts)} passes of a face")
    return "\n".join(lines)
