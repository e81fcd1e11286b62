"""What is measured on what: the pack, the data set's hash and the templates, made now or kept from before."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overt.cli.evaluate.dataset import data_set_sha256, require_utf8
from overt.cli.evaluate.faces import Faces, embed, keep, read_kept
from overt.cli.progress import counting, steps
from overt.recognition.onnx_session import Device
from overt.recognition.pack import PackInfo, load_pack, pack_info


@dataclass(frozen=True, slots=True)
class PackChoice:
    """Which pack is measured, and where and on what it runs."""

    name: str
    models_dir: Path
    device: Device = "cpu"
    threads: int = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Subject:
    """The pack and the templates of a data set."""

    info: PackInfo
    title: str
    sha256: str
    faces: Faces


def make_subject(
    choice: PackChoice, root: Path, names: Sequence[str], *, tables: Mapping[str, Path], kept: Path | None
) -> Subject:
    """Hash the data set, make the templates or take them from `kept`, and keep them there if it is given.

    `tables` (pairs, labels) belong to the data set: they are hashed with it. Raises RecognitionError,
    EvaluationRefused.
    """
    require_utf8(root, names)
    info = pack_info(choice.name)
    with steps() as report:
        pictures = {name: root / name for name in names}
        of_pictures = data_set_sha256(pictures, counting(report, "hashing the pictures"))
        if kept is not None and kept.exists():
            faces = read_kept(kept, data_set=of_pictures, fingerprint=info.fingerprint)
        else:
            pack = load_pack(choice.name, choice.models_dir, device=choice.device, threads=choice.threads)
            faces = embed(root, names, pack, counting(report, "making templates"))
            if kept is not None:
                keep(kept, faces, data_set=of_pictures, fingerprint=info.fingerprint)
        sha256 = data_set_sha256(pictures | dict(tables), counting(report, "hashing the data set"))
    return Subject(info, root.resolve().name or "pictures", sha256, faces)
