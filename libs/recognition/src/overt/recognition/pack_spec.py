"""A model pack as data: one TOML file that names its files and every constant between a picture and a template."""

import hashlib
import math
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from overt.recognition import align, detector, embedder
from overt.recognition.errors import PackRefused
from overt.recognition.facenet import recipe

MAX_SPEC_BYTES = 100_000
# What a pack may be called: it stands in logs, on pages and in evidence.
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,40}$(?!\n)")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
# What a value of a colour is multiplied by: networks take -1 to 1, 0 to 1 or 0 to 255.
Scale = Annotated[float, msgspec.Meta(ge=1e-6, le=1e3)]
InputSide = Annotated[int, msgspec.Meta(ge=32, le=8192, multiple_of=32)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Trials = Annotated[int, msgspec.Meta(ge=1)]
Point = tuple[float, float]
PerColour = tuple[float, float, float]
# The contract's crops, see `Shot.crop_side_px`.
CropSide = Literal[112, 160]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: a misspelt name is refused, not passed over."""


class WeightsFile(Table, frozen=True):
    """One file of weights. `file` is its name in the models folder, or beside the pack's own TOML file."""

    file: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$(?!\n)")]
    sha256: Sha256
    licence: Annotated[str, msgspec.Meta(min_length=1)]
    source: str = ""


class DetectorTable(Table, frozen=True):
    """How faces are found.

    layout: how the network's outputs are read. outputs: their names, in the layout's order; the layout's own
    when empty. A value v of a colour becomes (v - mean) * scale. input_size_px (width, height) is for a
    network of fixed size; else any multiple of `multiple_px` is shown to it.
    """

    layout: Literal["yunet", "scrfd", "mtcnn"]
    files: Annotated[tuple[WeightsFile, ...], msgspec.Meta(min_length=1, max_length=8)]
    colours: Literal["RGB", "BGR"]
    score_threshold: Share
    nms_iou: Share
    input: str = "input"
    outputs: tuple[str, ...] = ()
    mean: PerColour = (0.0, 0.0, 0.0)
    scale: Scale = 1.0
    multiple_px: Annotated[int, msgspec.Meta(ge=32, le=256, multiple_of=32)] = 32
    input_size_px: tuple[InputSide, InputSide] | None = None


class AlignerTable(Table, frozen=True):
    """Where the five landmarks come to lie in the crop: right eye, left eye, nose, right and left mouth."""

    size_px: CropSide
    template: tuple[Point, Point, Point, Point, Point]


class EmbedderTable(Table, frozen=True):
    """How a crop becomes a template. per_crop: each crop is brought to mean 0 and deviation 1 first."""

    files: Annotated[tuple[WeightsFile, ...], msgspec.Meta(min_length=1, max_length=8)]
    colours: Literal["RGB", "BGR"]
    dimension: Annotated[int, msgspec.Meta(ge=16, le=2048)]
    input: str = "input"
    output: str = "output"
    normalisation: Literal["fixed", "per_crop"] = "fixed"
    mean: PerColour = (0.0, 0.0, 0.0)
    scale: Scale = 1.0


class PointTable(Table, frozen=True):
    """One measured operating point, as counts: rates and intervals are computed from them."""

    threshold: Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]
    watchlist_size: Trials
    false_positives: Count
    non_mated_searches: Trials
    found: Count
    mated_searches: Trials


class CalibrationTable(Table, frozen=True):
    """What was measured. Without points nothing was, and no threshold has a default."""

    data_set: str = "not measured"
    default_threshold: Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)] | None = None
    points: tuple[PointTable, ...] = ()


class PackSpec(Table, frozen=True):
    """The whole file."""

    name: Name
    runtime: Literal["onnx", "torch"]
    detector: DetectorTable
    aligner: AlignerTable
    embedder: EmbedderTable
    calibration: CalibrationTable = CalibrationTable()


def pack_names() -> tuple[str, ...]:
    """Return the packs that come with this library."""
    folder = resources.files("overt.recognition") / "packs"
    return tuple(sorted(path.name.removesuffix(".toml") for path in folder.iterdir()))


def read_spec(name_or_path: str) -> tuple[PackSpec, Path | None]:
    """Return a pack's description and the folder of its own file; None for a pack of this library.

    What ends in .toml is a path. Raises PackRefused, with what is wrong and where.
    """
    if not name_or_path.endswith(".toml"):
        if name_or_path not in pack_names():
            raise PackRefused(
                f"there is no model pack {name_or_path!r}; there is: {', '.join(pack_names())}, "
                "or the path of a .toml file that describes one"
            )
        file = resources.files("overt.recognition") / "packs" / f"{name_or_path}.toml"
        return parse_spec(file.read_bytes(), name_or_path), None
    path = Path(name_or_path)
    try:
        with path.open("rb") as file_:
            content = file_.read(MAX_SPEC_BYTES + 1)
    except OSError as error:
        raise PackRefused(f"{path}: {error.strerror}") from error
    return parse_spec(content, str(path)), path.parent


def parse_spec(content: bytes, what: str) -> PackSpec:
    """Return the description that TOML `content` holds. Raises PackRefused, which names `what`."""
    if len(content) > MAX_SPEC_BYTES:
        raise PackRefused(f"{what}: more than {MAX_SPEC_BYTES} bytes is no description of a pack")
    try:
        spec = msgspec.convert(tomllib.loads(content.decode()), PackSpec)
    # Also a number of thousands of digits, or endless nesting.
    except (ValueError, RecursionError) as error:
        raise PackRefused(f"{what}: {error}") from error
    if not _is_finite(msgspec.to_builtins(spec)):
        raise PackRefused(f"{what}: nan and inf are no numbers to compute with")
    _require_places(spec.aligner, what)
    for point in spec.calibration.points:
        if point.false_positives > point.non_mated_searches or point.found > point.mated_searches:
            raise PackRefused(f"{what}: at {point.threshold} more was found than was searched for")
    return spec


def _require_places(table: AlignerTable, what: str) -> None:
    """Refuse landmarks that no face has: crops of nothing, or of a dot, make everybody alike."""
    inside = all(0 <= value < table.size_px for point in table.template for value in point)
    if not inside or len(set(table.template)) < len(table.template):
        raise PackRefused(
            f"{what}: the five points of `aligner.template` must differ and lie within 0 to {table.size_px}"
        )


def _is_finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def fingerprint(spec: PackSpec) -> str:
    """Return 64 hex digits: SHA-256 over the digests of the weights and every constant that a template rests on.

    Two packs with one fingerprint give the same template for the same picture, as far as rounding goes.
    Left out: names, licences, what was measured, and the detector's score threshold, which decides whether
    a face is looked at and not what comes of it.
    """
    content = {
        "runtime": spec.runtime,
        "detector": _constants(spec.detector, but={"score_threshold"}),
        "aligner": msgspec.to_builtins(spec.aligner),
        "embedder": _constants(spec.embedder, but=set()),
        "code": _code(spec),
    }
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _code(spec: PackSpec) -> Mapping[str, object]:
    """Return the constants of the code that runs for this pack."""
    onnx = spec.runtime == "onnx"
    found = detector.detection_constants(spec.detector.layout) if onnx else recipe.mtcnn_constants()
    return {
        "align": align.crop_constants(),
        "detector": found,
        "embedder": embedder.embedding_constants(),
    }


def _constants(table: DetectorTable | EmbedderTable, *, but: set[str]) -> Mapping[str, object]:
    values = msgspec.to_builtins(table)
    return {
        **{name: value for name, value in values.items() if name not in {"files", *but}},
        "weights": [file.sha256 for file in table.files],
    }
