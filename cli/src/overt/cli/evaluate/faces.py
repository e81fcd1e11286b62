"""Makes the templates of an evaluation's pictures, counts those that give none, and keeps them if told to."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from overt.cli.evaluate.errors import EvaluationRefused
from overt.recognition.detections import Detections
from overt.recognition.pack import Pack
from overt.recognition.picture import PictureRefused, load_picture

Progress = Callable[[int, int], None]
# Crops shown to the embedder together.
BATCH = 32
NO_FACE = "no face was found"
NO_FILE = "unreadable: no regular file"


@dataclass(frozen=True, slots=True)
class Faces:
    """N templates (N x D float32, unit rows) by the picture's name; `failures`: name and reason of the rest."""

    templates_ND: NDArray[np.float32]
    row_of: Mapping[str, int]
    failures: Mapping[str, str]

    def rows(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Return the templates of pictures that have one, in their order."""
        return self.templates_ND[[self.row_of[name] for name in names]]


def embed(root: Path, names: Sequence[str], pack: Pack, progress: Progress) -> Faces:
    """Return the template of the face nearest to each picture's middle: data sets centre who is meant.

    A picture that can't be read or has no face is a failure to acquire (ISO/IEC 19795-1), never an error.
    """
    failures: dict[str, str] = {}
    row_of: dict[str, int] = {}
    batches = [np.zeros((0, pack.info.dimension), np.float32)]
    crops: list[NDArray[np.uint8]] = []
    for done, (name, crop) in enumerate(_crops(root, names, pack), start=1):
        if isinstance(crop, str):
            failures[name] = crop
        else:
            row_of[name] = len(row_of)
            crops.append(crop)
        if len(crops) == BATCH:
            batches.append(pack.embedder.embed(np.stack(crops)))
            crops.clear()
        progress(done, len(names))
    if crops:
        batches.append(pack.embedder.embed(np.stack(crops)))
    return Faces(np.concatenate(batches), row_of, failures)


def _crops(root: Path, names: Sequence[str], pack: Pack) -> Iterator[tuple[str, NDArray[np.uint8] | str]]:
    """Yield each picture's name with its crop, or with why there is none."""
    for name in names:
        path = root / name
        if path.exists() and not path.is_file():
            # A FIFO or a device would never end.
            yield name, NO_FILE
            continue
        try:
            image_HWC = load_picture(path)
        except PictureRefused as refused:
            yield name, str(refused)
            continue
        found = pack.detector.detect(image_HWC)
        if len(found) == 0:
            yield name, NO_FACE
        else:
            yield name, pack.aligner.crop(image_HWC, found.landmarks_N52[_middle_one(found, image_HWC.shape)])


def _middle_one(found: Detections, shape: tuple[int, ...]) -> int:
    middle_2 = np.array([shape[1], shape[0]], np.float32) / 2
    away_N = np.linalg.norm(found.boxes_N4.reshape(-1, 2, 2).mean(axis=1) - middle_2, axis=1)
    return int(np.argmin(away_N))


def keep(path: Path, faces: Faces, *, data_set: str, fingerprint: str) -> None:
    """Write the templates to `path`, mode 0600: biometric data of the people in the data set.

    They are to be had again from this file by the same data set and pack only. Raises EvaluationRefused; a
    file or link that is there is never written to.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            np.savez(
                file,
                templates=faces.templates_ND,
                names=np.array(list(faces.row_of), np.str_),
                failed=np.array(list(faces.failures), np.str_),
                reasons=np.array(list(faces.failures.values()), np.str_),
                made_of=np.array([data_set, fingerprint], np.str_),
            )
    except OSError as error:
        raise EvaluationRefused(
            f"templates can't be kept in {path}: {error.strerror}; name another file (--keep)"
        ) from None


def read_kept(path: Path, *, data_set: str, fingerprint: str) -> Faces:
    """Return the templates in `path`. Raises EvaluationRefused when they are of other data or another pack."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            made_of = tuple(str(text) for text in kept["made_of"])
            names, failed, reasons = (kept[key].tolist() for key in ("names", "failed", "reasons"))
            templates_ND = np.asarray(kept["templates"], np.float32)
    except (OSError, ValueError, KeyError, BadZipFile):
        raise EvaluationRefused(
            f"{path} holds no templates of an evaluation: name another file, or delete it"
        ) from None
    if made_of != (data_set, fingerprint):
        raise EvaluationRefused(
            f"{path} holds templates of other pictures or another pack: delete it to make them anew"
        )
    return Faces(
        templates_ND, {name: row for row, name in enumerate(names)}, dict(zip(failed, reasons, strict=True))
    )
