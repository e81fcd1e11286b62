"""Reads pairs of pictures for verification: a CSV, or the form of LFW's pairs.txt."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from overt.cli.evaluate.dataset import read_table
from overt.cli.evaluate.errors import EvaluationRefused

SAME = {"1": True, "true": True, "yes": True, "same": True, "0": False, "false": False, "no": False}
SAME["different"] = False
MAX_FOLD_DIGITS = 9


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
        pair = Pair(row["first"], row["second"], same, _fold(path, number, row.get("fold")))
        _require_two_pictures(path, number, pair)
        pairs.append(pair)
    return tuple(pairs)


def _fold(path: Path, number: int, text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not text.strip().isdecimal() or len(text.strip()) > MAX_FOLD_DIGITS:
        raise EvaluationRefused(
            f"{path}, line {number}: fold must be a whole number of at most {MAX_FOLD_DIGITS} digits"
        )
    return int(text)


def _require_two_pictures(path: Path, number: int, pair: Pair) -> None:
    """Raise EvaluationRefused unless the pair is two pictures that lie in the folder of pictures."""
    first, second = PurePosixPath(pair.first), PurePosixPath(pair.second)
    if any(name.is_absolute() or ".." in name.parts or "\0" in str(name) for name in (first, second)):
        raise EvaluationRefused(
            f"{path}, line {number}: pictures must be paths within the folder of pictures (--pictures)"
        )
    if first == second:
        raise EvaluationRefused(f"{path}, line {number}: a picture is compared with itself: remove the pair")


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
    pairs = tuple(_lfw_pair(path, number, row, number // (2 * each) + 1) for number, row in enumerate(rows))
    for number, pair in enumerate(pairs, start=2):
        _require_two_pictures(path, number, pair)
    return pairs


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
