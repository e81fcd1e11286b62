"""Reads pairs of pictures for verification: a CSV, or the form of LFW's pairs.txt."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from overt.cli.evaluate.dataset import read_table
from overt.cli.evaluate.errors import EvaluationRefused

SAME = {"1": True, "true": True, "yes": True, "same": True, "0": False, "false": False, "no": False}
SAME["different"] = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, relative to the folder of pictures, and whether they show one person."""

    first: str
    second: str
    same: bool
    fold: int | None


def read_pairs(path: Path) -> tuple[Pair, ...]:
    """Return the pairs in a file. Raises EvaluationRefused, naming the line."""
    pairs = _lfw(path) if path.suffix == ".txt" else _csv(path)
    for kind in (True, False):
        if not any(pair.same is kind for pair in pairs):
            raise EvaluationRefused(f"{path} has no pair of {'one person' if kind else 'two people'}")
    if any(pair.fold is None for pair in pairs) and any(pair.fold is not None for pair in pairs):
        raise EvaluationRefused(f"{path}: some pairs have a fold and some have none")
    return pairs


def person_of(name: str) -> str:
    """Return whose picture it is: the folder it lies in (the picture itself, if it lies in none)."""
    folder = PurePosixPath(name).parent
    return name if folder == PurePosixPath() else folder.as_posix()


def _csv(path: Path) -> tuple[Pair, ...]:
    _, rows = read_table(path, ["first", "second", "same"])
    pairs = []
    for number, row in enumerate(rows, start=2):
        same = SAME.get(row["same"].strip().lower())
        if same is None or not row["first"] or not row["second"]:
            raise EvaluationRefused(f"{path}, line {number}: two pictures and same (1 or 0) are needed")
        pairs.append(Pair(row["first"], row["second"], same, _fold(path, number, row.get("fold"))))
    return tuple(pairs)


def _fold(path: Path, number: int, text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not text.strip().isdecimal():
        raise EvaluationRefused(f"{path}, line {number}: fold must be a whole number")
    return int(text)


def _lfw(path: Path) -> tuple[Pair, ...]:
    """Return the pairs of LFW's own file: `folds pairs`, then each fold's same and different pairs."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        folds, each = (int(word) for word in lines[0].split())
    except (OSError, UnicodeDecodeError, ValueError, IndexError):
        raise EvaluationRefused(f"{path} is not in the form of LFW's pairs.txt") from None
    rows = [line.split() for line in lines[1:] if line.strip()]
    if len(rows) != folds * each * 2:
        raise EvaluationRefused(f"{path} has {len(rows)} pairs, its first line says {folds * each * 2}")
    return tuple(_lfw_pair(path, number, row, number // (2 * each) + 1) for number, row in enumerate(rows))


def _lfw_pair(path: Path, number: int, row: list[str], fold: int) -> Pair:
    try:
        if len(row) == 3:
            person, first, second = row
            return Pair(_lfw_name(person, first), _lfw_name(person, second), True, fold)
        person, first, other, second = row
        return Pair(_lfw_name(person, first), _lfw_name(other, second), False, fold)
    except ValueError:
        raise EvaluationRefused(f"{path}, line {number + 2}: not a pair in the form of LFW") from None


def _lfw_name(person: str, number: str) -> str:
    return f"{person}/{person}_{int(number):04d}.jpg"
