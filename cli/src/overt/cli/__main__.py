"""The `overt` command: reads the arguments, calls what does the work, and says in one line what went wrong."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from overt.cli.datafolder import DataFolderRefused, default_data_dir
from overt.cli.evaluate.command import evaluate_app
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.models import CacheDir, models_app
from overt.cli.progress import say
from overt.cli.summary import Summary, in_words
from overt.cli.topics import topics_app
from overt.cli.verify import NoRun, verify_app
from overt.contracts.evidence import EvidenceRefused
from overt.contracts.orders import MAX_ORDER_S, Purpose
from overt.control.errors import ControlError
from overt.control.policy import Category
from overt.ingest.errors import SourceError
from overt.recognition.errors import RecognitionError
from overt.recognition.onnx_session import Device
from overt.runtime import logs
from overt.runtime.broker import BrokerError
from overt.runtime.process import CannotBegin

# What a user can mend: said in one line, exit code 2. Anything else is our fault and shows its trace.
USERS_TO_MEND = (
    DataFolderRefused,
    CannotBegin,
    SourceError,
    RecognitionError,
    ControlError,
    BrokerError,
    NoRun,
    EvaluationRefused,
    EvidenceRefused,
)
MISUSED = 2

app = typer.Typer(
    name="overt",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Live facial recognition that can be audited: everything runs under a signed order that ends, "
    "and people judge every alert.",
    epilog="Start with: overt demo",
)
app.add_typer(models_app, name="models")
app.add_typer(topics_app, name="topics")
app.add_typer(verify_app, name="verify")
app.add_typer(evaluate_app, name="evaluate")

DataDir = Annotated[
    Path,
    typer.Option(
        "--data",
        help="Folder of databases and keys, locked by one process.",
        envvar="OVERT_DATA_DIR",
        default_factory=default_data_dir,
    ),
]
Once = Annotated[bool, typer.Option("--once", help="End when the recordings end, instead of with Ctrl-C.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print exactly one line of JSON to standard output at the end.")
]
Port = Annotated[
    int, typer.Option(help="Port of the control room on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
]
Browser = Annotated[bool, typer.Option("--open/--no-open", help="Open the control room in a browser.")]


Videos = Annotated[
    list[str],
    typer.Option("--video", help="File, folder of pictures, device or rtsp:// address. May repeat."),
]
WatchlistFolder = Annotated[
    Path, typer.Option(help="Folder: NAME.jpg, or NAME/ with several pictures, a person.")
]
CategoryOption = Annotated[Category, typer.Option(help="Why these people are looked for.")]
PurposeOption = Annotated[Purpose, typer.Option(help="What the deployment is for.")]
Place = Annotated[str, typer.Option(help="Where, in words.")]
Hours = Annotated[float, typer.Option(help="How long the order lasts.", min=0.01, max=MAX_ORDER_S / 3600)]
Threshold = Annotated[
    float | None, typer.Option(help="Similarity from which people are asked; the pack's own if not given.")
]
PackOption = Annotated[
    str, typer.Option("--pack", help="Model pack: cpu, facenet, or the path of a .toml that describes one.")
]
DeviceOption = Annotated[Device, typer.Option(help="What the networks run on.")]
EvidenceFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--evidence",
        help="Signed record of `overt evaluate identification`: its points allow thresholds instead of the "
        "pack's own. May repeat.",
    ),
]
EvidenceKey = Annotated[
    Path | None, typer.Option(help="PEM file of the public key that evidence is trusted by.")
]
ZonesFile = Annotated[
    Path | None,
    typer.Option(
        "--zones",
        help="TOML file: region of interest, smallest wanted face and every n-th picture, a camera; the "
        "first --video is camera-1.",
    ),
]
Live = Annotated[
    bool,
    typer.Option("--live/--as-fast-as-possible", help="Play recordings at camera speed, or drop no frame."),
]


@app.command(epilog="Examples:  overt demo   |   overt demo --once --json")
def demo(  # noqa: PLR0913 - one parameter an option
    *,
    once: Once = False,
    json: Json = False,
    port: Port = 8080,
    open_browser: Browser = True,
    cache: CacheDir,
    data: DataDir,
) -> None:
    """Show it all on real pictures: people walk through a square, one of them is on the watchlist."""
    from overt.cli import demo as demo_run  # noqa: PLC0415 - Milvus alone takes seconds to import

    logs.configure("INFO", "console")
    _finish(
        *demo_run.run(cache, data, once=once, port=port, open_browser=open_browser and not once), json=json
    )


@app.command(
    "up",
    epilog="Examples:  overt up --video square.mp4 --watchlist people/   |   "
    "overt up --video rtsp://camera/stream --video gate.mp4 --watchlist people/ --place 'Market Square'",
)
def up_command(  # noqa: PLR0913 - one parameter an option
    *,
    video: Videos,
    watchlist: WatchlistFolder,
    category: CategoryOption = "wanted_on_suspicion",
    purpose: PurposeOption = "sought_person_location",
    place: Place = "place not recorded",
    hours: Hours = 4.0,
    threshold: Threshold = None,
    pack: PackOption = "cpu",
    device: DeviceOption = "cpu",
    evidence: EvidenceFiles = None,
    evidence_key: EvidenceKey = None,
    zones: ZonesFile = None,
    live: Live = True,
    once: Once = False,
    json: Json = False,
    port: Port = 8080,
    open_browser: Browser = False,
    cache: CacheDir,
    data: DataDir,
) -> None:
    """Run a deployment with your own cameras or recordings and your own watchlist, in this process."""
    from overt.cli.embedded import UpOptions, up  # noqa: PLC0415 - as above

    logs.configure("INFO", "console")
    options = UpOptions(
        videos=tuple(video),
        watchlist=watchlist,
        data_dir=data / "up",
        cache_dir=cache,
        category=category,
        purpose=purpose,
        place=place,
        hours=hours,
        threshold=threshold,
        pack=pack,
        device=device,
        evidence=tuple(evidence or ()),
        evidence_key=evidence_key,
        zones=zones,
        live=live,
        once=once,
        port=port,
        open_browser=open_browser,
    )
    _finish(*up(options), json=json)


def _finish(summary: Summary, code: int, *, json: bool) -> None:
    """Say what the run came to, and leave with its exit code."""
    say(in_words(summary))
    if json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    raise typer.Exit(code)


def main() -> None:
    """Run the command; the console script's entry."""
    # Until the loops run and take signals themselves: unwind, so that nothing half-enrolled stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except USERS_TO_MEND as error:
        say(f"overt: {error}")
        sys.exit(MISUSED)


if __name__ == "__main__":
    main()
