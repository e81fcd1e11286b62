"""`overt models`: fetch the model files once, verified and prepared, and show what is there."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import typer

from overt.cli.datafolder import default_cache_dir
from overt.cli.progress import say, steps
from overt.recognition.errors import FetchFailed
from overt.recognition.facenet.fetching import convert, fetch_facenet
from overt.recognition.models import fetch_models, write_whole
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
    try:
        with steps() as report:
            FETCHES[name](models_dir(cache), source=source, progress=report)
    except OSError as error:
        raise FetchFailed(f"{models_dir(cache)} can't be filled: {error.strerror}") from error
    pack = load_pack(name, models_dir(cache))
    say(f"pack {name} is ready, fingerprint {pack.info.fingerprint[:16]}…")


@models_app.command(
    "convert",
    epilog="Example:  overt models convert 20180402-114759-vggface2.pt vggface2_512.safetensors",
)
def to_safetensors(
    weights: Annotated[
        Path, typer.Argument(help="A .pt of PyTorch, or a .h5 of Keras.", exists=True, dir_okay=False)
    ],
    out: Annotated[Path, typer.Argument(help="The .safetensors to write.", dir_okay=False)],
) -> None:
    """Convert weights of Inception-ResNet-v1 for a pack of your own, and show the SHA-256 to pin."""
    content = convert(weights.read_bytes(), keras=weights.suffix == ".h5")
    try:
        write_whole(out, content)
    except OSError as error:
        raise FetchFailed(f"{out} can't be written: {error.strerror}") from error
    typer.echo(f"{hashlib.sha256(content).hexdigest()}  {out.name}")


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
