"""A model pack ready to work: detector, aligner, embedder and their calibration under one fingerprint.

Templates of one pack are never compared with another's: whoever stores or searches them names the
fingerprint.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overt.recognition.align import Aligner
from overt.recognition.calibration import Calibration, calibration_of
from overt.recognition.detections import FaceDetector
from overt.recognition.detector import Detector, DetectorOptions
from overt.recognition.embedder import Embedder, EmbedderOptions, FaceEmbedder
from overt.recognition.errors import PackRefused
from overt.recognition.onnx_session import NETWORK_ERRORS, Device, open_session
from overt.recognition.pack_spec import PackSpec, fingerprint, read_spec
from overt.recognition.weights import read_weights

__all__ = ["Device", "Pack", "PackInfo", "load_pack", "pack_info"]

# Pictures shown together, if the network takes several: brings nothing on a CPU and costs memory there.
BATCH_ON_GPU = 16
# What a network raises that is shown something else than it was made for, or is read in another way.
UNFIT: tuple[type[Exception], ...] = (*NETWORK_ERRORS, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class PackInfo:
    """What others need to know of a pack. `fingerprint` is 64 hex digits."""

    name: str
    fingerprint: str
    dimension: int
    crop_size_px: int
    licences: tuple[str, ...]
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack ready to work."""

    info: PackInfo
    detector: FaceDetector
    aligner: Aligner
    embedder: FaceEmbedder


def load_pack(name_or_path: str, models_dir: Path, *, device: Device = "cpu", threads: int = 1) -> Pack:
    """Return a pack of this library by its name, or a force's own by the path of its .toml file.

    `threads` are those of each network on a CPU; PyTorch has one number for the whole process. Files are looked for beside a pack's own .toml, then in
    `models_dir`.

    Raises PackRefused; ModelsMissing and ModelFileCorrupt, which say what to do; DeviceMissing.
    """
    spec, own_folder = read_spec(name_or_path)
    folders = (models_dir,) if own_folder is None else (own_folder, models_dir)
    if (spec.runtime == "torch") != (spec.detector.layout == "mtcnn"):
        raise PackRefused(f"pack {spec.name}: runtime torch has layout mtcnn, and no other has")
    make = _onnx if spec.runtime == "onnx" else _torch
    detector, embedder = make(spec, folders, device=device, threads=threads)
    pack = Pack(_info(spec), detector, _aligner(spec), embedder)
    _require_that_it_works(pack)
    return pack


def pack_info(name_or_path: str) -> PackInfo:
    """Return what is known of a pack without its files. Raises PackRefused."""
    return _info(read_spec(name_or_path)[0])


def _require_that_it_works(pack: Pack) -> None:
    """Show both networks something plain: a description that does not fit its files is refused here, at start.

    Raises PackRefused.
    """
    side_px = pack.info.crop_size_px
    try:
        pack.detector.detect(np.zeros((64, 64, 3), np.uint8))
        crops = np.full((2, side_px, side_px, 3), 128, np.uint8)
        crops[1, : side_px // 3, side_px // 2 :, 0] = 255  # in shape and in colour
        templates_2D = np.concatenate([pack.embedder.embed(crop[np.newaxis]) for crop in crops])
    except UNFIT as error:
        raise PackRefused(
            f"the description of pack {pack.info.name} does not fit its files: {error}"
        ) from error
    if not np.isfinite(templates_2D).all():
        raise PackRefused(f"the embedder of pack {pack.info.name} gives values without a number")
    if np.allclose(templates_2D[0], templates_2D[1], atol=1e-5):
        raise PackRefused(
            f"the embedder of pack {pack.info.name} gives one template for whatever it is shown"
        )


def _info(spec: PackSpec) -> PackInfo:
    files = (*spec.detector.files, *spec.embedder.files)
    return PackInfo(
        name=spec.name,
        fingerprint=fingerprint(spec),
        dimension=spec.embedder.dimension,
        crop_size_px=spec.aligner.size_px,
        licences=tuple(dict.fromkeys(file.licence for file in files)),
        calibration=calibration_of(spec.calibration),
    )


def _aligner(spec: PackSpec) -> Aligner:
    return Aligner(np.array(spec.aligner.template), spec.aligner.size_px)


def _torch(
    spec: PackSpec, folders: tuple[Path, ...], *, device: Device, threads: int
) -> tuple[FaceDetector, FaceEmbedder]:
    try:
        loading = importlib.import_module("overt.recognition.facenet.loading")
    except ModuleNotFoundError as error:
        raise PackRefused(
            f"pack {spec.name} needs {error.name}, which is not installed: `uv sync --inexact --extra facenet`"
        ) from error
    made: tuple[FaceDetector, FaceEmbedder] = loading.load(spec, folders, device=device, threads=threads)
    return made


def _onnx(
    spec: PackSpec, folders: tuple[Path, ...], *, device: Device, threads: int
) -> tuple[Detector, Embedder]:
    found, made = spec.detector, spec.embedder
    together = device != "cpu" and found.layout == "yunet" and found.input_size_px is None
    detector_session = open_session(read_weights(folders, found.files[0]), device=device, threads=threads)
    embedder_session = open_session(read_weights(folders, made.files[0]), device=device, threads=threads)
    options = DetectorOptions(
        layout=found.layout,
        outputs=found.outputs,
        input=found.input,
        colours=found.colours,
        mean=found.mean,
        scale=found.scale,
        multiple_px=found.multiple_px,
        input_size_px=found.input_size_px,
        score_threshold=found.score_threshold,
        nms_iou=found.nms_iou,
        batch=BATCH_ON_GPU if together else 1,
    )
    crops = EmbedderOptions(
        dimension=made.dimension,
        crop_size_px=spec.aligner.size_px,
        input=made.input,
        output=made.output,
        colours=made.colours,
        normalisation=made.normalisation,
        mean=made.mean,
        scale=made.scale,
    )
    return Detector(detector_session, options), Embedder(embedder_session, crops)
