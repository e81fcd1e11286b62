"""`overt models`: fetch the model files once, verified and prepared, and show what is there."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from overt.cli.datafolder import default_cache_dir
from overt.cli.progress import say, steps
from overt.recognition.facenet.fetching import fetch_facenet
from overt.recognition.models import fetch_models
from overt.recognition.pack import load_pack, pack_info
from overt.recognition.pack_spec import pack_names

models_app = typer.Typer(no_args_is_help=True, help="Fetch and show model packs.")

CacheDir = Annotated[
    Path,
    typer.Option(
        "--cache",
        help="Where models and samples are kept.",
        envvar="OVERT_CACHE_DIR",
        default_factory=default_cache_dir,
    ),
]


def models_dir(cache: Path) -> Path:
    """Where in the cache the prepared models are."""
    return cache / "models"


FETCHES = {"cpu": fetch_models, "facenet": fetch_facenet}


@models_app.command(epilog="Examples:  overt models fetch   |   overt models fetch --from /media/usb")
def fetch(
    cache: CacheDir,
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder that holds the files, for a closed network.")
    ] = None,
    name: Annotated[
        Literal["cpu", "facenet"],
        typer.Option("--pack", help="Whose files: cpu (10 MB) or facenet (92 MB, converted by its extra)."),
    ] = "cpu",
) -> None:
    """Fetch a pack's files, check their SHA-256 and prepare them. Safe to repeat."""
    with steps() as report:
        FETCHES[name](models_dir(cache), source=source, progress=report)
    pack = load_pack(name, models_dir(cache))
    say(f"pack {name} is ready, fingerprint {pack.info.fingerprint[:16]}…")


@models_app.command("list", epilog="Example:  overt models list")
def show() -> None:
    """Show the packs: licences, fingerprint, and what was measured about their errors."""
    for name in pack_names():
        info = pack_info(name)
        typer.echo(f"{name}\n  fingerprint {info.fingerprint}\n  template    {info.dimension} values")
        for licence in info.licences:
            typer.echo(f"  licence     {licence}")
        threshold = info.calibration.default_threshold
        typer.echo(f"  threshold   {'none measured' if threshold is None else f'{threshold:.3f} by default'}")
