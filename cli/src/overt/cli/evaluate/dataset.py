"""Reads what is to be evaluated: folders of people, pairs, labels; and says by a hash which data it was."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from overt.cli.evaluate.errors import EvaluationRefused

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
# Of a table somebody made: more than this is a mistake.
MAX_TABLE_BYTES = 200_000_000
# As many, and as long, as an evidence record may have.
MAX_GROUPS = 500
MAX_GROUP_CHARACTERS = 200
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class OpenSet:
    """People and their pictures, as paths relative to `root`, in order of name.

    enrolled: the pictures to enrol somebody with, the first that has a face; probes: those to search for.
    Who is in `probes` alone is not on the list (non-mated). `whole`: all are of one folder, so everybody
    could be enrolled.
    """

    root: Path
    enrolled: Mapping[str, tuple[str, ...]]
    probes: Mapping[str, tuple[str, ...]]
    whole: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Every picture once, in order of name."""
        each = (
            name for people in (self.enrolled, self.probes) for names in people.values() for name in names
        )
        return tuple(sorted(set(each)))


@dataclass(frozen=True, slots=True)
class Labels:
    """Group columns and, for each person, the person's group in each of them ("" where it is not known)."""

    columns: tuple[str, ...]
    of_people: Mapping[str, tuple[str, ...]]


def read_open_set(root: Path) -> OpenSet:
    """Return the people in `root`: one folder each, or `gallery/` and `probe/` with one folder each.

    From one folder: who has two pictures or more is enrolled and searched for, who has one is searched for
    only. Raises EvaluationRefused.
    """
    if (root / "gallery").is_dir() and (root / "probe").is_dir():
        people = OpenSet(root, _people(root, "gallery"), _people(root, "probe"), whole=False)
    else:
        everybody = _people(root, ".")
        several = {person: names for person, names in everybody.items() if len(names) > 1}
        people = OpenSet(root, several, everybody, whole=True)
    if not people.enrolled:
        raise EvaluationRefused(
            f"{root}: nobody can be enrolled: give one folder a person with two pictures or more in it, or "
            "gallery/ and probe/"
        )
    return people


def _people(root: Path, part: str) -> dict[str, tuple[str, ...]]:
    folder = root / part
    if not folder.is_dir():
        raise EvaluationRefused(f"{folder} is not a folder")
    found = {
        person.name: tuple(
            path.relative_to(root).as_posix() for path in sorted(person.iterdir()) if _is_picture(path)
        )
        for person in sorted(folder.iterdir())
        if person.is_dir()
    }
    return {person: names for person, names in found.items() if names}


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and path.is_file()


def require_utf8(root: Path, names: Iterable[str]) -> None:
    """Raise EvaluationRefused for a picture or folder whose name no result could be written with."""
    for name in (root.resolve().name, *names):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise EvaluationRefused(
                f"{str(root)!r}: the name {name!r} is not in UTF-8; rename the file or folder"
            ) from None


def data_set_sha256(files: Mapping[str, Path], progress: Progress) -> str:
    """Return SHA-256 over the sorted relative names and the SHA-256 of each file: which data it was.

    Whoever has the same files under the same names gets the same. What is missing, or no regular file (a FIFO would never end), counts
    as missing.
    """
    whole = hashlib.sha256()
    for done, name in enumerate(sorted(files), start=1):
        digest = "missing"
        with suppress(OSError):
            if files[name].is_file():
                with files[name].open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{name}\0{digest}\n".encode())
        progress(done, len(files))
    return whole.hexdigest()


def read_table(path: Path, required: Iterable[str]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Return the columns and rows of a CSV file with a header. Raises EvaluationRefused."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise EvaluationRefused(f"{path} is larger than {MAX_TABLE_BYTES} bytes")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except OSError as error:
        raise EvaluationRefused(f"{path} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationRefused(f"{path} is no CSV file in UTF-8: {error}") from None
    missing = [name for name in required if name not in columns]
    if missing:
        raise EvaluationRefused(f"{path} has no column {', '.join(missing)}; it has {', '.join(columns)}")
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise EvaluationRefused(f"{path} has two columns {twice[0]!r}: rename or remove one")
    return columns, rows


def read_labels(path: Path) -> Labels:
    """Return the groups of people: a CSV with `identity` and one column a grouping. Raises EvaluationRefused.

    For labelled evaluation sets only: nothing here infers a group, and nothing of it reaches the live path.
    """
    columns, rows = read_table(path, ["identity"])
    groupings = tuple(column for column in columns if column and column != "identity")
    if not groupings:
        raise EvaluationRefused(f"{path} has no column but identity: there is nothing to group by")
    people: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows, start=2):
        if row["identity"] in people:
            raise EvaluationRefused(f"{path}, line {number}: {row['identity']} stands there twice")
        people[row["identity"]] = tuple(row[column].strip() for column in groupings)
    labels = Labels(groupings, people)
    _require_recordable(path, labels)
    return labels


def _require_recordable(path: Path, labels: Labels) -> None:
    """Raise EvaluationRefused for groups that an evidence record does not hold."""
    groups = {
        (column, value)
        for values in labels.of_people.values()
        for column, value in zip(labels.columns, values, strict=True)
        if value
    }
    if len(groups) > MAX_GROUPS:
        raise EvaluationRefused(f"{path} has {len(groups)} groups, at most {MAX_GROUPS}: leave out columns")
    longest = max((text for group in groups for text in group), key=len, default="")
    if len(longest) > MAX_GROUP_CHARACTERS:
        raise EvaluationRefused(
            f"{path}: {longest[:20]!r}... is longer than {MAX_GROUP_CHARACTERS} characters: shorten it"
        )
