"""Writes the report of an evaluation: one HTML file without a reference to anything outside of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from overt.cli.evaluate import plots
from overt.cli.evaluate.result import Result
from overt.cli.evaluate.trials import Trials
from overt.cli.evaluate.words import IDENTIFICATION, VERIFICATION, percent, rate


def write_report(path: Path, result: Result, trials: Sequence[Trials]) -> None:
    """Write the report to `path`."""
    words = VERIFICATION if result.evidence.protocol == "verification" else IDENTIFICATION
    page = (
        environment()
        .get_template("report.html")
        .render(
            result=result,
            evidence=result.evidence,
            words=words,
            figures=figures(result, trials, words),
            measured_at=datetime.fromtimestamp(result.evidence.measured_at_s, UTC).strftime(
                "%Y-%m-%d %H:%M UTC"
            ),
        )
    )
    path.write_text(page, encoding="utf-8")


def environment() -> Environment:
    """Return the templates of reports."""
    made = Environment(
        loader=PackageLoader("overt.cli.evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=percent, rate=rate)
    return made


def figures(
    result: Result, trials: Sequence[Trials], words: Mapping[str, str]
) -> Sequence[tuple[str, str, str]]:
    """Return the title, what it shows, and the SVG of each figure."""
    evidence, main = result.evidence, trials[0]
    curves = plots.curves_of(trials, evidence.rank)
    titles = [
        f"list of {each.size:,}" if evidence.protocol == "identification" else "pairs" for each in trials
    ]
    shown = result.rows[0].threshold if result.rows else None
    names = (words["false"], words["found"])
    found = [
        ("DET", f"{words['missed']} against {words['false']}: nearer to the corner is better.", plots.det(curves, titles, (words["false"], words["missed"]))),
        ("ROC", f"{words['found']} against {words['false']}, with 95 % intervals.", plots.roc(curves, titles, names)),
        (f"{words['false']} and {words['found']} against the threshold", f"For the {titles[0]}, with 95 % intervals. Dotted: {_dotted(shown)}.", plots.against_threshold(curves[0], names, shown)),
        ("Scores", f"Highest score of {words['non_mated']} and the own score of {words['mated']}, {titles[0]}.", plots.histogram(main, (words["non_mated"], words["mated"]), shown)),
    ]  # fmt: skip
    if evidence.groups:
        found.append(
            (
                "By group",
                f"At {evidence.groups[0].threshold:.4f}, with 95 % intervals.",
                plots.by_group(evidence.groups, names),
            )
        )
    return found


def _dotted(threshold: float | None) -> str:
    return (
        "no threshold is shown" if threshold is None else f"{threshold:.4f}, the first threshold of the table"
    )
