"""Writes what an evaluation came to into a folder: JSON, CSV and the report."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.plots import curves_of
from overt.cli.evaluate.report import write_report
from overt.cli.evaluate.result import Result
from overt.cli.evaluate.trials import Trials
from overt.contracts.evidence import CountedRate

RATE = ("count", "total", "lower_95", "upper_95")


def make_folder(out: Path) -> None:
    """Make the folder for results before anything is measured. Raises EvaluationRefused."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationRefused(f"{out} can't be made a folder: {error.strerror}") from None


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Raise EvaluationRefused for what keeps the results within from being written."""
    try:
        yield
    except OSError as error:
        raise EvaluationRefused(
            f"{error.filename or out} can't be written: {error.strerror}; name another folder (--out)"
        ) from None


def write_all(out: Path, result: Result, trials: Sequence[Trials], failures: Mapping[str, str]) -> None:
    """Write `result.json`, the tables and `report.html` into `out`; what stands there is replaced.

    Tables name pictures by their place in the data set and hold scores: no picture and no template.
    """
    write_json(out / "result.json", result)
    evidence = result.evidence
    rates = [f"{name}_{part}" for name in ("fpir", "tpir") for part in RATE]
    points = (
        (each.size, f"{counts.thresholds_T[at]:.4f}", *_flat(counts.fpir(at)), *_flat(counts.tpir(at)))
        for each, counts in zip(trials, curves_of(trials, evidence.rank), strict=True)
        for at in range(len(counts))
    )
    write_table(out / "points.csv", ("list_size", "threshold", *rates), points)
    mated = (
        (each.size, *names, f"{score:.6f}", rank)
        for each in trials
        for names, score, rank in zip(each.mated_names, each.mated_M, each.ranks_M, strict=True)
    )
    write_table(out / "mated.csv", ("list_size", "picture", "own_entry", "score", "rank"), mated)
    non_mated = (
        (each.size, *names, f"{score:.6f}")
        for each in trials
        for names, score in zip(each.non_mated_names, each.best_S, strict=True)
    )
    write_table(out / "non_mated.csv", ("list_size", "picture", "most_alike", "score"), non_mated)
    write_table(out / "failures.csv", ("picture", "reason"), sorted(failures.items()))
    if evidence.groups:
        groups = (
            (
                group.column,
                group.value,
                group.list_size,
                group.threshold,
                *_flat(group.fpir),
                *_flat(group.tpir),
            )
            for group in evidence.groups
        )
        write_table(out / "groups.csv", ("column", "value", "list_size", "threshold", *rates), groups)
    write_report(out / "report.html", result, trials)


def write_json(path: Path, content: msgspec.Struct) -> None:
    """Write a result as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _flat(rate: CountedRate | object) -> tuple[object, ...]:
    return tuple(getattr(rate, part, "") for part in RATE)
