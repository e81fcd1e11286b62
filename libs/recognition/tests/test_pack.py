"""A pack is one file: what it says is what runs, and nothing in it changes without another fingerprint."""

import hashlib
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from overt.recognition import align, detections, detector, embedder, layouts, resizing
from overt.recognition.errors import DeviceMissing, ModelFileCorrupt, ModelsMissing, PackRefused
from overt.recognition.facenet import recipe
from overt.recognition.onnx_session import open_session
from overt.recognition.pack import load_pack, pack_info
from overt.recognition.pack_spec import PackSpec, fingerprint, pack_names, parse_spec, read_spec

Photographs = Mapping[str, NDArray[np.uint8]]
CPU, FACENET = read_spec("cpu")[0], read_spec("facenet")[0]
SCRFD = msgspec.structs.replace(
    CPU, name="scrfd", detector=msgspec.structs.replace(CPU.detector, layout="scrfd")
)
# Score threshold: whether a face is looked at, not what comes of it.
NO_PART_OF_A_TEMPLATE = {"score_threshold", "licence", "source", "file", "name"}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("cpu", "502a5c678a9f24d54a7ef720810aee921deed0c5f496801e690a062bc3e09d7f"),
        ("facenet", "c9708c940fcc76e1f4794351f77d624fd549384f43f48f13db0bd2ddfc453661"),
    ],
)
def test_the_fingerprint_is_known_without_the_files_and_stays(name: str, known: str) -> None:
    """Lists enrolled under it must be enrolled again when this changes: that is a decision, no accident."""
    assert pack_info(name).fingerprint == known


def changed(value: Any) -> Any:
    """Return something else of the same kind."""
    if isinstance(value, str):
        pairs = (("RGB", "BGR"), ("yunet", "mtcnn"), ("fixed", "per_crop"), ("onnx", "torch"))
        others = dict(pairs) | {second: first for first, second in pairs}
        return others.get(value, value[:-1] + ("0" if value[-1:] != "0" else "1") if value else "other")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return {112: 160, 160: 112, 32: 64}.get(value, value + 1)
    if isinstance(value, float):
        return value + 0.25
    return [640, 640] if value is None else ["x"]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every single value in nested tables."""
    inner: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    places = [place for key, one in inner for place in leaves(one, (*path, key))]
    return places or [path]


def with_change(table: Any, path: tuple[Any, ...]) -> Any:
    """Return a copy of nested tables with one value changed."""
    if not path:
        return changed(table)
    copy = dict(table) if isinstance(table, dict) else list(table)
    copy[path[0]] = with_change(table[path[0]], path[1:])
    return copy


def places(spec: PackSpec) -> list[tuple[Any, ...]]:
    tables = msgspec.json.decode(msgspec.json.encode(spec))
    return [(spec, *place) for place in leaves(tables) if place[0] not in {"calibration", "name"}]


@pytest.mark.parametrize(
    "place",
    [*places(CPU), *places(FACENET)],
    ids=lambda place: ".".join([place[0].name, *map(str, place[1:])]),
)
def test_every_value_of_a_pack_that_a_template_rests_on_changes_the_fingerprint(
    place: tuple[Any, ...],
) -> None:
    spec, *inside = place
    tables = with_change(msgspec.json.decode(msgspec.json.encode(spec)), tuple(inside))
    other = msgspec.convert(tables, PackSpec, strict=False)

    assert (fingerprint(other) != fingerprint(spec)) == (inside[-1] not in NO_PART_OF_A_TEMPLATE)


OF_BOTH = {"align.RIM_PX": 3, "embedder.LEAST_DEVIATION": "none", "resizing.REDUCING_GAP": 3.0}
OF_CPU = {"detector.MAX_FACES": 10, "layouts.STRIDES_PX": (8, 16)}
OF_SCRFD = OF_CPU | {"layouts.SCRFD_ANCHORS": 1}
OF_FACENET = {
    "CELL_PX": 13, "STRIDE_PX": 3, "PYRAMID_FACTOR": 0.8, "SMALLEST_FACE_PX": 24.0, "PASS_P": 0.5, "PASS_R": 0.5,
    "IOU_LEVEL": 0.4, "IOU_LEVELS": 0.4, "IOU_R": 0.4, "R_SIDE_PX": 25, "O_SIDE_PX": 49, "MAX_CANDIDATES": 9,
    "MAX_FACES": 9, "CUT": "none",
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "name", "value"),
    [
        *((spec, name, value) for spec in (CPU, FACENET) for name, value in OF_BOTH.items()),
        *((CPU, name, value) for name, value in OF_CPU.items()),
        *((SCRFD, name, value) for name, value in OF_SCRFD.items()),
        *((FACENET, f"facenet.recipe.{name}", value) for name, value in OF_FACENET.items()),
    ],
    ids=lambda value: value.name if isinstance(value, PackSpec) else str(value),
)
def test_every_constant_of_the_code_changes_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch, spec: PackSpec, name: str, value: object
) -> None:
    before = fingerprint(spec)
    module, _, constant = name.rpartition(".")
    # Where it is used: the detector has what is of the layouts by import.
    module = "detector" if module == "layouts" else module

    monkeypatch.setattr(importlib.import_module(f"overt.recognition.{module}"), constant, value)

    assert fingerprint(spec) != before


def test_a_constant_of_one_runtime_leaves_the_other_packs_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint(CPU)

    monkeypatch.setattr(recipe, "PASS_P", 0.5)

    assert fingerprint(CPU) == before


def test_no_constant_of_the_code_is_forgotten_in_the_fingerprint() -> None:
    """A new upper-case number in these modules must be named here or there."""
    of_no_influence = {
        "TEMPLATE_52", "TEMPLATE_SIZE_PX",  # of quality and of packs that name it in their file
        "LONGEST_SIDE_PX",  # how large a camera's picture is looked at: chosen for each
        "BATCH",  # a row does not depend on its batch
    }  # fmt: skip
    covered = {name.rpartition(".")[2] for name in (*OF_BOTH, *OF_SCRFD)}

    assert constants_of(align, detections, detector, embedder, layouts, resizing) == of_no_influence | covered
    assert constants_of(recipe) == OF_FACENET.keys()


def constants_of(*modules: object) -> set[str]:
    return {
        name
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, (int, float, str, tuple, np.ndarray))
    }


def test_an_unknown_pack_is_refused_with_the_names_of_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"there is no model pack 'gpu'; there is: cpu.*\.toml"):
        load_pack("gpu", tmp_path)
    with pytest.raises(PackRefused, match=r"nowhere\.toml: No such file"):
        load_pack(str(tmp_path / "nowhere.toml"), tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('name = "cpu"', 'name = "../cpu"', r"name`"),
        ('colours = "BGR"', 'colours = "YUV"', r"Invalid enum value 'YUV' - at `\$\.detector\.colours`"),
        ("nms_iou = 0.3", "nms_iuo = 0.3", "nms_iuo"),
        ("nms_iou = 0.3", "nms_iou = 3", "nms_iou"),
        ("size_px = 112", "size_px = 100", "size_px"),
        ("dimension = 128", "dimension = 1000000", "dimension"),
        ("multiple_px = 32", "multiple_px = 5", "multiple_px"),
        ('file = "sface', 'file = "../sface', r"files\[0\]\.file"),
        ("[aligner]", "[aligner", "line"),
        ("found = 3522", "found = 3522000", "more was found than was searched for"),
    ],
)
def test_a_malformed_description_is_refused_with_what_and_where(before: str, after: str, reason: str) -> None:
    content = (Path(align.__file__).parent / "packs" / "cpu.toml").read_text()
    assert before in content

    with pytest.raises(PackRefused, match=reason):
        parse_spec(content.replace(before, after).encode(), "mine.toml")


def test_a_description_too_large_to_be_one_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "big.toml").write_bytes(b"#" * 200_000)

    with pytest.raises(PackRefused, match="no description of a pack"):
        read_spec(str(tmp_path / "big.toml"))


@pytest.mark.parametrize("name", ["cpu", "facenet"])
def test_the_default_threshold_stands_on_a_measured_point_stricter_than_1_in_1000(name: str) -> None:
    calibration = pack_info(name).calibration

    point = next(p for p in calibration.points if p.threshold == calibration.default_threshold)

    assert point.fpir < 0.001
    assert point.fpir < point.fpir_upper_95
    assert all(p.fpir <= 0.001 for p in calibration.points)
    assert list(calibration.points) == sorted(
        calibration.points, key=lambda p: (p.threshold, -p.watchlist_size)
    )


def test_every_pack_that_comes_along_is_named_as_its_file() -> None:
    assert all(pack_info(name).name == name for name in pack_names())
    assert pack_names() == ("cpu", "facenet")


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_a_pack_in_pytorch_says_what_to_install_where_there_is_none(tmp_path: Path) -> None:
    assert pack_info("facenet").dimension == 128
    with pytest.raises(
        PackRefused, match=r"needs .*, which is not installed: `uv sync --inexact --extra facenet`"
    ):
        load_pack("facenet", tmp_path)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
@pytest.mark.models
def test_a_device_that_is_not_there_is_an_error_and_nothing_runs_elsewhere(
    models_dir: Path, device: Any
) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has one")
    with pytest.raises(DeviceMissing, match=f"device {device} was asked for, but this ONNX Runtime has"):
        load_pack("cpu", models_dir, device=device)


def test_a_provider_that_does_not_start_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the driver is missing: ONNX Runtime lists the provider, warns, and would take the CPU."""
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, options, providers: real(model, options, providers=["CPUExecutionProvider"]),
    )

    with pytest.raises(DeviceMissing, match="device cuda was asked for, but it could not be started"):
        open_session(embedder_model(), device="cuda", threads=1)


def embedder_model(dimension: int = 16) -> bytes:
    """A tiny embedder with names of its own: the mean of each colour over the crop, mixed into `dimension`."""
    weights = np.random.default_rng(0).normal(size=(3, dimension)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["crop"], ["means"]),
            helper.make_node("Flatten", ["means"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["template"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("crop", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("template", TensorProto.FLOAT, ["N", dimension])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString())


def own_pack(folder: Path, models_dir: Path) -> Path:
    """Write a force's own pack: the detector of `cpu`, an embedder of ArcFace's kind, nothing measured."""
    content = embedder_model()
    (folder / "own_embedder.onnx").write_bytes(content)
    (folder / CPU.detector.files[0].file).write_bytes((models_dir / CPU.detector.files[0].file).read_bytes())
    text = (Path(align.__file__).parent / "packs" / "cpu.toml").read_text().partition("[calibration]")[0]
    head, embedder_table = text.split("[embedder]")
    (folder / "own.toml").write_text(
        head.replace('name = "cpu"', 'name = "own"')
        + f"""[embedder]
input = "crop"
output = "template"
colours = "BGR"
mean = [127.5, 127.5, 127.5]
scale = 0.00784313725490196
dimension = 16

[[embedder.files]]
file = "own_embedder.onnx"
sha256 = "{hashlib.sha256(content).hexdigest()}"
licence = "made in a test"
"""
    )
    assert "fc1" in embedder_table
    return folder / "own.toml"


@pytest.mark.models
def test_a_pack_of_ones_own_runs_from_its_file_alone(
    tmp_path: Path, models_dir: Path, photographs: Photographs
) -> None:
    pack = load_pack(str(own_pack(tmp_path, models_dir)), tmp_path / "no models here")

    image_HWC = photographs["obama"]
    crop_HWC = pack.aligner.crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])
    templates_ND = pack.embedder.embed(crop_HWC[np.newaxis])

    weights = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    colours_3 = (crop_HWC[..., ::-1].reshape(-1, 3).mean(axis=0) - 127.5) / 127.5
    expected_D = colours_3 @ weights
    assert np.allclose(templates_ND[0], expected_D / np.linalg.norm(expected_D), atol=1e-3)
    assert pack.info.name == "own"
    assert pack.info.fingerprint != pack_info("cpu").fingerprint
    assert pack.info.calibration.default_threshold is None
    assert pack.info.calibration.points == ()


@pytest.mark.models
def test_a_file_of_ones_own_pack_that_is_missing_or_another_is_refused(
    tmp_path: Path, models_dir: Path
) -> None:
    path = own_pack(tmp_path, models_dir)
    (tmp_path / "own_embedder.onnx").write_bytes(embedder_model(17))

    with pytest.raises(ModelFileCorrupt, match=r"own_embedder\.onnx is not the pinned file"):
        load_pack(str(path), models_dir)

    (tmp_path / "own_embedder.onnx").unlink()
    with pytest.raises(ModelsMissing, match=r"own_embedder\.onnx is not in .* beside its \.toml"):
        load_pack(str(path), models_dir)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('input = "crop"', 'input = "data"'),
        ('output = "template"', 'output = "fc1"'),
        ("dimension = 16", "dimension = 17"),
        ("size_px = 112", "size_px = 160"),
        ('layout = "yunet"', 'layout = "scrfd"'),
    ],
)
@pytest.mark.models
def test_a_description_that_does_not_fit_its_files_is_refused_at_the_start(
    tmp_path: Path, models_dir: Path, before: str, after: str
) -> None:
    path = own_pack(tmp_path, models_dir)
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))

    with pytest.raises(PackRefused, match="the description of pack own does not fit its files"):
        load_pack(str(path), models_dir)


@pytest.mark.models
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, models_dir: Path) -> None:
    path = own_pack(tmp_path, models_dir)
    digest = hashlib.sha256(embedder_model()).hexdigest()
    path.write_text(path.read_text().replace(digest, hashlib.sha256(b"no network").hexdigest()))
    (tmp_path / "own_embedder.onnx").write_bytes(b"no network")

    with pytest.raises(ModelFileCorrupt, match="ONNX Runtime can't load the model"):
        load_pack(str(path), models_dir)
