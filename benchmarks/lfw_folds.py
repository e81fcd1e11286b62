"""Draws pairs for verification from a folder of labelled faces, in 10 folds that share nobody.

    uv run python benchmarks/lfw_folds.py FOLDER > pairs.csv

FOLDER holds one folder a person with pictures in it. Each fold has 300 pairs of one person and 300 of two, as
in view 2 of Labeled Faces in the Wild (Huang et al. 2007): people are dealt to the folds, and no pair is drawn
twice. With the same folder, seed and numbers the file is the same, byte for byte.
"""

import argparse
import csv
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

SUFFIXES = {".jpg", ".jpeg", ".png"}


class Drawn(NamedTuple):
    """A line of the file."""

    first: str
    second: str
    same: int
    fold: int


def people_in(folder: Path) -> dict[str, list[str]]:
    """Return each person's pictures as paths within `folder`, in order of name."""
    found = {
        person.name: sorted(
            path.relative_to(folder).as_posix()
            for path in person.iterdir()
            if path.suffix.lower() in SUFFIXES
        )
        for person in sorted(folder.iterdir())
        if person.is_dir()
    }
    return {name: pictures for name, pictures in found.items() if pictures}


def draw(
    people: Mapping[str, Sequence[str]], *, folds: int = 10, pairs: int = 300, seed: int = 2007
) -> Iterator[Drawn]:
    """Yield `pairs` pairs of one person and as many of two in each fold; nobody is in two folds.

    Pairs of one person are drawn person by person first, so that one with hundreds of pictures does not
    fill a fold. Raises ValueError when a fold has too few people or pictures.
    """
    chance = random.Random(seed)  # noqa: S311 - a fixed draw, nothing secret
    names = sorted(people)
    chance.shuffle(names)
    for number in range(folds):
        dealt = names[number::folds]
        several = [name for name in dealt if len(people[name]) > 1]
        possible = sum(len(people[name]) * (len(people[name]) - 1) // 2 for name in several)
        if possible < pairs or len(dealt) * (len(dealt) - 1) // 2 < pairs:
            raise ValueError(
                f"fold {number + 1} has {possible} pairs of one person among {len(dealt)} people"
            )
        for first, second in _same(people, several, pairs, chance):
            yield Drawn(first, second, 1, number + 1)
        for first, second in _different(people, dealt, pairs, chance):
            yield Drawn(first, second, 0, number + 1)


def _same(
    people: Mapping[str, Sequence[str]], several: Sequence[str], count: int, chance: random.Random
) -> list[tuple[str, str]]:
    """Deal one pair of each person in turn until there are enough."""
    left = {name: list(combinations(people[name], 2)) for name in several}
    for pairs in left.values():
        chance.shuffle(pairs)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        for name in chance.sample(several, len(several)):
            if left[name] and len(found) < count:
                found.append(left[name].pop())
    return found


def _different(
    people: Mapping[str, Sequence[str]], dealt: Sequence[str], count: int, chance: random.Random
) -> list[tuple[str, str]]:
    """Draw two people and a picture of each until there are enough pairs."""
    found: dict[frozenset[str], tuple[str, str]] = {}
    while len(found) < count:
        first, second = (chance.choice(people[name]) for name in chance.sample(dealt, 2))
        found.setdefault(frozenset((first, second)), (first, second))
    return list(found.values())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw pairs in folds from a folder of labelled faces.")
    parser.add_argument("folder", type=Path, help="one folder a person")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=300, help="of one person, and as many of two, a fold")
    parser.add_argument("--seed", type=int, default=2007)
    options = parser.parse_args(arguments)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(Drawn._fields)
    writer.writerows(
        draw(people_in(options.folder), folds=options.folds, pairs=options.pairs, seed=options.seed)
    )


if __name__ == "__main__":
    main()
