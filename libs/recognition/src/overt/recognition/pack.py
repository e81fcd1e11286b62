"""A model pack: detector, aligner, embedder and their calibration under one fingerprint.

Templates of one pack are never compared with another's: whoever stores or searches them names the
fingerprint.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec
import onnxruntime  # type: ignore[import-untyped]

from overt.recognition import align, detector
from overt.recognition.calibration import CPU_CALIBRATION, Calibration
from overt.recognition.detector import Detector
from overt.recognition.embedder import Embedder
from overt.recognition.errors import RecognitionError
from overt.recognition.models import SFACE, YUNET, ModelFile, read_model


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
    detector: Detector
    embedder: Embedder


@dataclass(frozen=True, slots=True)
class PackSpec:
    """A pack as data: its files, and every constant of preprocessing that a template depends on."""

    detector_file: ModelFile
    embedder_file: ModelFile
    dimension: int
    crop_size_px: int
    calibration: Calibration


PACKS: Mapping[str, PackSpec] = MappingProxyType(
    {
        "cpu": PackSpec(
            detector_file=YUNET,
            embedder_file=SFACE,
            dimension=128,
            crop_size_px=align.TEMPLATE_SIZE_PX,
            calibration=CPU_CALIBRATION,
        )
    }
)


def load_pack(name: str, models_dir: Path, *, threads: int = 1) -> Pack:
    """Return a pack whose networks use `threads` threads each.

    Raises ModelsMissing and ModelFileCorrupt, which say how to fetch; RecognitionError for an unknown name.
    """
    if name not in PACKS:
        raise RecognitionError(f"there is no model pack {name!r}; there is: {', '.join(PACKS)}")
    spec = PACKS[name]
    return Pack(
        pack_info(name),
        Detector(_session(read_model(models_dir, spec.detector_file), threads)),
        Embedder(
            _session(read_model(models_dir, spec.embedder_file), threads),
            dimension=spec.dimension,
            crop_size_px=spec.crop_size_px,
        ),
    )


def pack_info(name: str) -> PackInfo:
    """Return what is known of a pack without its files; `name` is one of PACKS."""
    spec = PACKS[name]
    files = (spec.detector_file, spec.embedder_file)
    return PackInfo(
        name=name,
        fingerprint=pack_fingerprint([file.prepared_sha256 for file in files], preprocessing(spec)),
        dimension=spec.dimension,
        crop_size_px=spec.crop_size_px,
        licences=tuple(file.licence for file in files),
        calibration=spec.calibration,
    )


def pack_fingerprint(weights_sha256: Sequence[str], constants: Mapping[str, object]) -> str:
    """Return 64 hex digits: SHA-256 over the hashes of the weights and the preprocessing constants.

    Two packs with one fingerprint give the same template for the same picture, as far as rounding goes.
    """
    content = {"weights": list(weights_sha256), "constants": dict(constants)}
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def preprocessing(spec: PackSpec) -> Mapping[str, object]:
    """Return every constant between a picture and its template."""
    return {
        "detector.colours": "BGR",
        "detector.multiple_px": detector.MULTIPLE_PX,
        "detector.nms_iou": detector.NMS_IOU,
        "detector.strides_px": list(detector.STRIDES_PX),
        "aligner.template": align.TEMPLATE_52.tolist(),
        "aligner.method": "similarity, least squares; whole-factor reduction, then bilinear; black outside",
        "aligner.size_px": spec.crop_size_px,
        "embedder.colours": "RGB",
        "embedder.range": [0, 255],
        "embedder.dimension": spec.dimension,
        "embedder.norm": "L2",
    }


def _session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep: spinning takes the core that decodes the next picture.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
