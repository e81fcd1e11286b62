"""How rates are called and written, and a result in words; needs nothing that draws."""

from collections.abc import Iterator

from overt.cli.evaluate.result import Result
from overt.contracts.evidence import CountedRate, Evidence

# How the two rates, and what they are counted over, are called in each protocol.
IDENTIFICATION = {
    "false": "FPIR",
    "found": "TPIR",
    "missed": "FNIR",
    "non_mated": "non-mated searches",
    "mated": "mated searches",
}
VERIFICATION = {
    "false": "FMR", "found": "TMR", "missed": "FNMR", "non_mated": "pairs of two people", "mated": "pairs of one person"
}  # fmt: skip


def percent(share: float) -> str:
    """Return a share in percent with as many digits as tell something."""
    return f"{share:.2%}" if share >= 0.01 or share == 0 else f"{share:.3%}"


def rate(rate: CountedRate | None) -> str:
    """Return a rate with its interval and its counts."""
    if rate is None:
        return "none searched for"
    value, low, high = rate.count / rate.total, rate.lower_95, rate.upper_95
    return f"{percent(value)} ({percent(low)} to {percent(high)}), {rate.count:,} of {rate.total:,}"


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
