"""Reads the files that a pack is made of: byte for byte the pinned ones, or not at all."""

import hashlib
from pathlib import Path

from overt.recognition.errors import ModelFileCorrupt, ModelsMissing
from overt.recognition.pack_spec import WeightsFile

FETCH_HINT = (
    "run `overt models fetch`, or `overt models fetch --from DIR` without a network; the files of a pack of "
    "your own go beside its .toml"
)


def read_weights(folders: tuple[Path, ...], file: WeightsFile) -> bytes:
    """Return a pinned file's content, whole, from the first folder that has it.

    It is read once: what was hashed is what runs. Raises ModelsMissing, ModelFileCorrupt; both say what to do.
    """
    path = next((folder / file.file for folder in folders if (folder / file.file).is_file()), None)
    if path is None:
        places = " or ".join(str(folder) for folder in folders)
        raise ModelsMissing(f"the model file {file.file} is not in {places}: {FETCH_HINT}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ModelFileCorrupt(
            f"{path} is not the pinned file (SHA-256 differs): delete it, then {FETCH_HINT}"
        )
    return content
