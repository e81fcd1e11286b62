"""Reads a watchlist folder: which file belongs to which entry, and what the entry is called."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from overt.control.errors import NoPictures

MAX_LABEL_CHARACTERS = 200
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_IGNORED = frozenset({"Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One file of a watchlist folder. `name` is its path inside the folder, as it is shown."""

    entry_id: str
    label: str
    name: str
    path: Path


def entry_id_for(name: str) -> str:
    """Return the entry id for a file or folder name: the name itself where it is a safe identifier.

    Any other name is spelt with safe characters and given 64 bits of its own hash, so two names never share
    an id and the same name always has the same one.
    """
    if _SAFE_ID.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_")[:40]
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{slug}-{digest}" if slug else f"entry-{digest}"


def label_for(name: str) -> str:
    """Return `name` as it is shown: printable, composed (NFC), not longer than a label may be."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text))
    return " ".join(text.split())[:MAX_LABEL_CHARACTERS] or "without a name"


def read_folder(folder: Path) -> list[PictureFile]:
    """List the files of `folder`, by name.

    `NAME.jpg` is an entry with one picture, a folder `NAME` is one entry with every picture in it. Hidden
    files are left out; what is no picture is listed too, so that its refusal is reported. Raises NoPictures.
    """
    try:
        if not folder.is_dir():
            raise NoPictures(f"{folder} is no folder")
        files = list(_files(folder))
    except OSError as error:
        raise NoPictures(f"{error.filename} can't be read: {error.strerror}") from None
    if not files:
        raise NoPictures(f"{folder} holds no pictures")
    return files


def _files(folder: Path) -> Iterator[PictureFile]:
    for item in _visible(folder):
        if item.is_dir() and item.is_symlink():
            continue  # it may lead back here, and make one entry of everybody
        if item.is_dir():
            for inner in _visible(item):
                yield _picture(item.name, f"{item.name}/{inner.name}", inner)
        else:
            yield _picture(item.stem, item.name, item)


def _picture(entry: str, shown: str, path: Path) -> PictureFile:
    return PictureFile(entry_id_for(entry), label_for(entry), label_for(shown), path)


def _visible(folder: Path) -> Iterable[Path]:
    items = sorted(folder.iterdir(), key=lambda item: item.name)
    return [item for item in items if not item.name.startswith(".") and item.name not in _IGNORED]
