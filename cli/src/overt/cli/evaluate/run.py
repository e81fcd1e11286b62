"""Runs a protocol from its files to its results."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from overt.cli.evaluate.conclude import RECORD, Ending, Scored, conclude
from overt.cli.evaluate.dataset import Labels, OpenSet, read_labels, read_open_set
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.identification import identify
from overt.cli.evaluate.keys import read_private_key
from overt.cli.evaluate.measured import Wish
from overt.cli.evaluate.output import make_folder
from overt.cli.evaluate.pairs import Pair, person_of, read_pairs
from overt.cli.evaluate.result import Result
from overt.cli.evaluate.subject import PackChoice, Subject, make_subject
from overt.cli.evaluate.verification import accuracy_of, scores_of, verify_pairs
from overt.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a run: results, and those that may be given."""

    out: Path
    labels: Path | None = None
    kept: Path | None = None
    signing_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What every protocol is told."""

    choice: PackChoice
    wish: Wish
    files: Files
    clock: Clock


def run_verification(run: Run, pairs_file: Path, pictures: Path) -> Result:
    """Compare the pairs. Raises EvaluationRefused, RecognitionError."""
    pairs = read_pairs(pairs_file)
    names = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    ending = _ending(run.files, run.clock, {person_of(name) for name in names})
    tables = _tables(pairs=pairs_file, labels=run.files.labels)
    subject = make_subject(run.choice, pictures, names, tables=tables, kept=run.files.kept)
    scores_P = scores_of(pairs, subject.faces)
    scored = Scored(
        "verification",
        (verify_pairs(pairs, scores_P),),
        enrolled=_with_a_template(pairs, subject),
        folds=accuracy_of(pairs, scores_P),
    )
    return conclude(subject, scored, run.wish, ending)


def run_identification(run: Run, folder: Path) -> Result:
    """Search for everybody in the folder. Raises EvaluationRefused, RecognitionError."""
    people = read_open_set(folder)
    ending = _ending(run.files, run.clock, {*people.enrolled, *people.probes})
    subject = make_subject(
        run.choice, people.root, people.names, tables=_tables(labels=run.files.labels), kept=run.files.kept
    )
    trials = identify(people, subject.faces, list_size=run.wish.list_size, seed=run.wish.seed)
    scored = Scored("identification", trials, enrolled=_enrolled(people, subject))
    return conclude(subject, scored, run.wish, ending)


def _ending(files: Files, clock: Clock, people: Collection[str]) -> Ending:
    """Read what may be refused before anything is measured."""
    ending = Ending(
        out=files.out,
        key=None if files.signing_key is None else read_private_key(files.signing_key),
        labels=None if files.labels is None else _labels_of(people, files.labels),
        clock=clock,
        started_s=clock.monotonic_s(),
    )
    make_folder(files.out)
    if ending.key is None and (files.out / RECORD).exists():
        raise EvaluationRefused(
            f"{files.out} holds signed evidence, which other figures must not lie beside: name another folder"
        )
    if files.kept is not None and not files.kept.parent.is_dir():
        raise EvaluationRefused(
            f"{files.kept.parent} is not a folder: make it, or name another file (--keep)"
        )
    return ending


def _labels_of(people: Collection[str], path: Path) -> Labels:
    labels = read_labels(path)
    if labels.of_people.keys().isdisjoint(people):
        raise EvaluationRefused(
            f"{path} names nobody of the data set: identity must be a person's folder, as {min(people)!r}"
        )
    return labels


def _tables(**given: Path | None) -> dict[str, Path]:
    # No picture has such a name: pictures' names are paths within the folder.
    return {f"/{kind}": path for kind, path in given.items() if path is not None}


def _with_a_template(pairs: tuple[Pair, ...], subject: Subject) -> dict[str, bool]:
    """Return whether each person has any template."""
    found: dict[str, bool] = {}
    for pair in pairs:
        for name in (pair.first, pair.second):
            found[person_of(name)] = found.get(person_of(name), False) or name in subject.faces.row_of
    return found


def _enrolled(people: OpenSet, subject: Subject) -> dict[str, bool]:
    return {
        person: any(name in subject.faces.row_of for name in names)
        for person, names in people.enrolled.items()
    }
