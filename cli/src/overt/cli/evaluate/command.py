"""`overt evaluate`: the command's options; what it does stands in the other modules."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.keys import make_key
from overt.cli.evaluate.measured import Wish
from overt.cli.evaluate.options import (
    ClipsFile,
    DeviceOption,
    Fmr,
    Fpir,
    Keep,
    LabelsFile,
    ListSize,
    Models,
    Out,
    PackOption,
    PairsFile,
    PeopleFolder,
    Pictures,
    Rank,
    Rounds,
    Seed,
    Sign,
    Threads,
    Threshold,
)
from overt.cli.evaluate.subject import PackChoice
from overt.cli.models import CacheDir, models_dir
from overt.cli.progress import say
from overt.contracts.evidence_files import read_evidence
from overt.recognition.pack import pack_info
from overt.runtime import logs
from overt.runtime.clock import SystemClock

evaluate_app = typer.Typer(
    no_args_is_help=True,
    help="Measure a pack's errors on labelled pictures or clips: JSON, CSV, an HTML report, a signed record.",
)
NO_EXTRA = (
    "overt evaluate draws its report with matplotlib: install the extra, e.g. `uv sync --extra evaluate`"
)


@evaluate_app.command(
    epilog="Examples:  overt evaluate verification pairs.csv --pictures lfw/ --out result   |   "
    "overt evaluate verification pairs.csv --pack mine.toml --out result --sign evidence.pem"
)
def verification(  # noqa: PLR0913 - one parameter an option
    pairs: PairsFile,
    *,
    pictures: Pictures = None,
    fmr: Fmr = 0.001,
    out: Out,
    pack: PackOption = "cpu",
    device: DeviceOption = "cpu",
    threads: Threads,
    models: Models = None,
    labels: LabelsFile = None,
    bootstrap: Rounds = 1000,
    seed: Seed = 1,
    keep: Keep = None,
    sign: Sign = None,
    cache: CacheDir,
) -> None:
    """Compare pairs of pictures: accuracy over folds (as LFW view 2), FMR and TMR at every threshold."""
    _require_extra()
    from overt.cli.evaluate.run import Files, Run, run_verification  # noqa: PLC0415 - needs the extra
    from overt.cli.evaluate.words import in_words  # noqa: PLC0415 - as above

    run = Run(
        PackChoice(pack, models or models_dir(cache), device, threads),
        Wish(fmr, 1, rank=1, rounds=bootstrap, seed=seed),
        Files(out, labels, keep, sign),
        SystemClock(),
    )
    result = run_verification(run, pairs, pictures or pairs.parent)
    say(in_words(result))
    say(f"report: {out / 'report.html'}")


@evaluate_app.command(
    epilog="Examples:  overt evaluate identification lfw/ --out result   |   overt evaluate identification "
    "people/ --list-size 500 --fpir 0.001 --labels labels.csv --out result --sign evidence.pem"
)
def identification(  # noqa: PLR0913 - one parameter an option
    folder: PeopleFolder,
    *,
    list_size: ListSize = None,
    fpir: Fpir = 0.001,
    rank: Rank = 5,
    out: Out,
    pack: PackOption = "cpu",
    device: DeviceOption = "cpu",
    threads: Threads,
    models: Models = None,
    labels: LabelsFile = None,
    bootstrap: Rounds = 1000,
    seed: Seed = 1,
    keep: Keep = None,
    sign: Sign = None,
    cache: CacheDir,
) -> None:
    """Search for people in a list, some of them not on it: FPIR and TPIR, as in ISO/IEC 19795-1.

    The threshold is the lowest whose 95 % upper bound keeps the FPIR; where too few were searched for, none
    is given, and it is said how many more are needed.
    """
    _require_extra()
    from overt.cli.evaluate.run import Files, Run, run_identification  # noqa: PLC0415 - needs the extra
    from overt.cli.evaluate.words import in_words  # noqa: PLC0415 - as above

    run = Run(
        PackChoice(pack, models or models_dir(cache), device, threads),
        Wish(fpir, list_size, rank=rank, rounds=bootstrap, seed=seed),
        Files(out, labels, keep, sign),
        SystemClock(),
    )
    result = run_identification(run, folder)
    say(in_words(result))
    say(f"report: {out / 'report.html'}")


@evaluate_app.command(
    epilog="Example:  overt evaluate video clips.toml --out result, where clips.toml says: watchlist = 'people' "
    "[[clips]] video = 'gate.mp4' expected = ['anna'] [[clips]] video = 'empty.mp4'"
)
def video(  # noqa: PLR0913 - one parameter an option
    clips: ClipsFile,
    *,
    threshold: Threshold = None,
    out: Out,
    pack: PackOption = "cpu",
    device: DeviceOption = "cpu",
    cache: CacheDir,
) -> None:
    """Run the whole pipeline over clips: alerts found, missed and false, against those expected.

    Each clip runs under an order of its own in this process; its list is erased when it ends.
    """
    _require_extra()
    from overt.cli.evaluate.clips import read_clips  # noqa: PLC0415 - Milvus alone takes seconds to import
    from overt.cli.evaluate.video import VideoChoice, in_words, run_video  # noqa: PLC0415 - as above

    logs.configure("WARNING", "console")
    choice = VideoChoice(pack, device, threshold, cache, out)
    say(in_words(run_video(read_clips(clips), choice, pack_info(pack), SystemClock())))
    say(f"report: {out / 'report.html'}")


@evaluate_app.command(epilog="Example:  overt evaluate key evidence.pem")
def key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; the public one is FILE.pub.")],
) -> None:
    """Make the key that signs evidence. Keep it where nobody else reads it; hand out FILE.pub."""
    public = make_key(file)
    say(f"private key {file} (readable by you alone), public key {public}")


@evaluate_app.command(
    epilog="Example:  overt evaluate verify result/evidence.json --public-key evidence.pem.pub"
)
def verify(
    file: Annotated[Path, typer.Argument(help="The record, evidence.json of a signed evaluation.")],
    *,
    public_key: Annotated[Path, typer.Option(help="PEM file of the key that is trusted.")],
) -> None:
    """Check who signed a record and say what it shows; exit 2 for one that is forged, edited or malformed."""
    from overt.cli.evaluate.words import evidence_lines  # noqa: PLC0415 - keeps the other commands quick

    for line in evidence_lines(read_evidence(file, public_key), signed=True):
        say(line)


def _require_extra() -> None:
    """Raise EvaluationRefused where the extra is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise EvaluationRefused(NO_EXTRA)
