"""Loading a pack in PyTorch: the device that was asked for or none, other weights by one file, whole batches."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from overt.recognition import pack_spec
from overt.recognition.errors import DeviceMissing, ModelFileCorrupt, ModelsMissing, PackRefused
from overt.recognition.facenet import (
    candidates,
    detector,
    embedder,
    mtcnn,
    networks,
    recipe,
    torch_device,
)
from overt.recognition.facenet.embedder import FacenetEmbedder
from overt.recognition.facenet.networks import COUNTER, inception_resnet
from overt.recognition.facenet.torch_device import Place, in_fixed_batches, place_of
from overt.recognition.pack import Pack, load_pack, pack_info

Photographs = Mapping[str, NDArray[np.uint8]]
FACENET = (Path(pack_spec.__file__).parent / "packs" / "facenet.toml").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
@pytest.mark.models
def test_a_device_that_is_not_there_is_an_error_and_nothing_runs_elsewhere(
    facenet_dir: Path, device: Any
) -> None:
    with pytest.raises(DeviceMissing, match=f"device {device} was asked for, but .* ask for"):
        load_pack("facenet", facenet_dir, device=device)


def test_half_precision_is_for_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of("cpu", threads=1) == Place(torch.device("cpu"), torch.float32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert place_of("cuda", threads=1) == Place(torch.device("cuda"), torch.float16)


def test_the_threads_asked_for_are_those_of_the_process() -> None:
    place_of("cpu", threads=2)
    assert torch.get_num_threads() == 2
    place_of("cpu", threads=1)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("rows", "shown"), [(1, [1]), (3, [4]), (4, [4]), (5, [8]), (8, [8]), (19, [8, 8, 4])]
)
def test_networks_see_batches_of_few_sizes_and_nothing_of_the_padding_comes_back(
    rows: int, shown: list[int]
) -> None:
    seen: list[int] = []

    def run(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append(len(batch))
        return batch * 2, batch.sum(dim=1)

    double, sums = in_fixed_batches(run, torch.ones(rows, 3), (1, 4, 8))

    assert seen == shown
    assert double.tolist() == [[2.0] * 3] * rows
    assert sums.tolist() == [3.0] * rows


def test_no_constant_of_the_modules_in_pytorch_is_forgotten_in_the_fingerprint() -> None:
    """What a template rests on stands in `recipe`; a new upper-case number elsewhere must be named here."""
    of_no_influence = {
        "BATCHES", "BATCH_ON_CPU", "BATCH_ON_GPU",  # a row, a picture and a cut do not depend on their batch
        "COUNTER", "FEATURES", "MTCNN",  # of the networks: the weights' digests stand for them
    }  # fmt: skip
    constants = {
        name
        for module in (candidates, detector, embedder, mtcnn, networks, torch_device)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, (int, float, str, tuple))
    }

    assert constants - vars(recipe).keys() - {"LONGEST_SIDE_PX"} == of_no_influence


def own_pack(folder: Path, facenet_dir: Path, dimension: int = 512) -> Path:
    """Write a pack with another Inception-ResNet-v1, as one brings VGGFace2's; here its weights are random."""
    torch.manual_seed(1)
    state = inception_resnet(512).state_dict()
    content = save({name: value for name, value in state.items() if not name.endswith(COUNTER)})
    (folder / "own.safetensors").write_bytes(content)
    for file in pack_spec.read_spec("facenet")[0].detector.files:
        (folder / file.file).symlink_to(facenet_dir / file.file)
    head = FACENET.partition("[embedder]")[0].replace('name = "facenet"', 'name = "own"')
    (folder / "own.toml").write_text(
        head
        + f"""[embedder]
colours = "RGB"
dimension = {dimension}
mean = [127.5, 127.5, 127.5]
scale = 0.0078125

[[embedder.files]]
file = "own.safetensors"
sha256 = "{hashlib.sha256(content).hexdigest()}"
licence = "made in a test"
"""
    )
    return folder / "own.toml"


@pytest.mark.models
def test_weights_of_512_values_work_by_a_file_alone(
    tmp_path: Path, facenet_dir: Path, photographs: Photographs
) -> None:
    pack = load_pack(str(own_pack(tmp_path, facenet_dir)), tmp_path / "no models here")
    image_HWC = photographs["astronaut"]
    crop_HWC = pack.aligner.crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])

    templates_ND = pack.embedder.embed(np.stack([crop_HWC, crop_HWC[:, ::-1]]))

    made = pack.embedder
    assert isinstance(made, FacenetEmbedder)
    shown = torch.from_numpy((crop_HWC.astype(np.float32) - 127.5) / 128).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected_D = made.network(shown)[0].numpy()
    assert templates_ND.shape == (2, 512)
    assert np.allclose(templates_ND[0], expected_D / np.linalg.norm(expected_D), atol=1e-3)
    assert pack.info.dimension == 512
    assert pack.info.fingerprint != pack_info("facenet").fingerprint


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("dimension = 512", "dimension = 128", "own.safetensors is of another network"),
        ('layout = "mtcnn"', 'layout = "yunet"', "runtime torch has layout mtcnn"),
        ('runtime = "torch"', 'runtime = "onnx"', "runtime torch has layout mtcnn"),
        ("size_px = 160", "input_size_px = 5\nsize_px = 160", "input_size_px"),
    ],
)
@pytest.mark.models
def test_a_description_that_does_not_fit_is_refused_at_the_start(
    tmp_path: Path, facenet_dir: Path, before: str, after: str, reason: str
) -> None:
    path = own_pack(tmp_path, facenet_dir)
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))

    with pytest.raises(PackRefused, match=reason):
        load_pack(str(path), facenet_dir)


@pytest.mark.models
def test_files_that_are_missing_or_changed_are_refused(tmp_path: Path, facenet_dir: Path) -> None:
    path = own_pack(tmp_path, facenet_dir)
    with (tmp_path / "own.safetensors").open("r+b") as changed:
        changed.seek(200_000)
        changed.write(b"\x00\x01\x02")
    with pytest.raises(ModelFileCorrupt, match=r"own\.safetensors is not the pinned file"):
        load_pack(str(path), facenet_dir)

    (tmp_path / "mtcnn_rnet.safetensors").unlink()
    with pytest.raises(ModelsMissing, match=r"mtcnn_rnet\.safetensors is not in"):
        load_pack(str(path), tmp_path)


@pytest.mark.models
def test_another_precision_gives_nearly_the_same_template(pack: Pack, photographs: Photographs) -> None:
    """As on CUDA, where half precision runs; here bfloat16, which a CPU has too: the types fit together."""
    image_HWC = photographs["astronaut"]
    crops_NHWC = pack.aligner.crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])[None]
    made = pack.embedder
    assert isinstance(made, FacenetEmbedder)
    place = Place(torch.device("cpu"), torch.bfloat16)
    network = inception_resnet(128)
    network.load_state_dict(made.network.state_dict())

    coarse_1D = FacenetEmbedder(place.moved(network), place, made.options).embed(crops_NHWC)

    assert coarse_1D.dtype == np.float32
    assert float(coarse_1D[0] @ made.embed(crops_NHWC)[0]) > 0.98
