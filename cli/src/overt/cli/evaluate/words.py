"""Says a result in words on standard error."""

from collections.abc import Iterator

from overt.cli.evaluate.report import IDENTIFICATION, VERIFICATION, percent, rate
from overt.cli.evaluate.result import Result
from overt.contracts.evidence import Evidence


def in_words(result: Result) -> str:
    """Return the figures of a result, one a line."""
    return "\n".join(_lines(result))


def _lines(result: Result) -> Iterator[str]:
    evidence = result.evidence
    words = VERIFICATION if evidence.protocol == "verification" else IDENTIFICATION
    yield from evidence_lines(evidence, signed=result.signed)
    if result.folds is not None:
        mean, error = percent(result.folds.mean), percent(result.folds.standard_error)
        yield f"accuracy over {len(result.folds.accuracies)} folds: {mean} ± {error} (standard error)"
    for each in result.rank_one if evidence.protocol == "identification" else ():
        yield f"first in a list of {each.list_size}: {rate(each.rate)}"
    for row in result.rows:
        where = f"list of {row.list_size}" if evidence.protocol == "identification" else "pairs"
        yield f"{where}, threshold {row.threshold:.4f} ({row.why})"
        yield f"  {words['false']} {rate(row.fpir)}"
        yield f"  {words['found']} {rate(row.tpir)}"
        if row.tpir_bootstrap is not None:
            spread = f"{percent(row.tpir_bootstrap.lower_95)} to {percent(row.tpir_bootstrap.upper_95)}"
            yield f"  {words['found']}, people resampled: {spread}"


def evidence_lines(evidence: Evidence, *, signed: bool) -> Iterator[str]:
    """Yield what a record is about and what it shows."""
    yield f"{'signed' if signed else 'unsigned'}: {evidence.protocol} of pack {evidence.pack} on {evidence.data_set}"
    yield f"fingerprint {evidence.fingerprint}"
    yield f"data set    {evidence.data_set_sha256}"
    yield f"{evidence.people} people; failure to acquire {rate(evidence.failed_to_acquire)}"
    wanted = evidence.wanted
    if wanted is not None and wanted.threshold is not None:
        lists = f", lists of up to {wanted.list_size}" if evidence.protocol == "identification" else ""
        yield f"threshold {wanted.threshold:.4f}: at most {percent(wanted.fpir)} false positives{lists}"
    elif wanted is not None:
        yield f"no threshold: {wanted.reason}"
