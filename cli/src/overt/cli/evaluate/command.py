"""`overt evaluate`: the command's options; what it does stands in the other modules."""

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.keys import make_key
from overt.cli.evaluate.measured import Wish
from overt.cli.evaluate.subject import PackChoice
from overt.cli.models import CacheDir, models_dir
from overt.cli.progress import say
from overt.contracts.evidence_files import read_evidence
from overt.recognition.onnx_session import Device
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

Out = Annotated[Path, typer.Option(help="Folder for result.json, the tables, report.html and evidence.json.")]
PackOption = Annotated[str, typer.Option("--pack", help="Model pack: cpu, facenet, or the path of a .toml.")]
DeviceOption = Annotated[Device, typer.Option(help="What the networks run on.")]
Threads = Annotated[
    int, typer.Option(help="Threads of each network on a CPU.", min=1, max=64, default_factory=os.cpu_count)
]
Models = Annotated[
    Path | None, typer.Option(help="Folder of model files, if they are not in the cache.", file_okay=False)
]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="File to keep the templates in, and to take them from the next time: other thresholds without "
        "embedding again. It holds biometric data: delete it when you are done."
    ),
]
Sign = Annotated[
    Path | None, typer.Option(help="Private key (`overt evaluate key`) that signs evidence.json.")
]
LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="CSV: identity, then a column a grouping, of a labelled evaluation set: figures by group.",
    ),
]
Rounds = Annotated[
    int, typer.Option("--bootstrap", help="How often people are resampled.", min=10, max=100_000)
]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn: resamples and smaller lists.", min=0)]


@evaluate_app.command(
    epilog="Examples:  overt evaluate verification pairs.csv --pictures lfw/ --out result   |   "
    "overt evaluate verification pairs.csv --pack mine.toml --out result --sign evidence.pem"
)
def verification(  # noqa: PLR0913 - one parameter an option
    pairs: Annotated[
        Path, typer.Argument(help="CSV first,second,same[,fold] with paths of pictures; or LFW's pairs.txt.")
    ],
    *,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder that the paths begin in; the pairs file's own if not given.")
    ] = None,
    fmr: Annotated[
        float, typer.Option(help="False match rate to pick a threshold for.", min=1e-9, max=0.5)
    ] = 0.001,
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
    folder: Annotated[
        Path,
        typer.Argument(
            help="gallery/ and probe/ with one folder a person in each; or one folder a person: who has two "
            "pictures or more is enrolled with the first and searched for with the others."
        ),
    ],
    *,
    list_size: Annotated[
        int | None,
        typer.Option(
            help="Entries of the list that the threshold is for; everybody enrolled if not given.", min=1
        ),
    ] = None,
    fpir: Annotated[
        float,
        typer.Option(help="False-positive identification rate to pick a threshold for.", min=1e-9, max=0.5),
    ] = 0.001,
    rank: Annotated[
        int, typer.Option(help="The right entry counts as found up to this rank.", min=1, max=100)
    ] = 5,
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
    clips: Annotated[
        Path, typer.Argument(help="TOML: a watchlist folder, and clips with the entries they should find.")
    ],
    *,
    threshold: Annotated[
        float | None,
        typer.Option(help="Similarity from which an alert is raised; the pack's own if not given."),
    ] = None,
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
