"""Takes the measured points of a pack from signed evidence instead of from the pack's own description."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from overt.contracts.evidence import (
    CountedRate,
    Evidence,
    EvidenceRefused,
    MeasuredPoint,
    require_fingerprint,
)
from overt.contracts.evidence_files import read_evidence
from overt.control.errors import EvidenceMissing
from overt.control.policy import fpir_is_refuted, fpir_is_shown
from overt.recognition.calibration import Calibration, OperatingPoint
from overt.recognition.metrics import proportion
from overt.recognition.pack import PackInfo


def with_evidence(info: PackInfo, records: Sequence[Path], public_key: Path | None) -> PackInfo:
    """Return `info` with the calibration that the records prove; without records as it is.

    The pack's own points do not count any more then. Raises EvidenceMissing: forged, edited, about another
    pack, or measured on too little for any threshold.
    """
    if not records:
        return info
    if public_key is None:
        raise EvidenceMissing("evidence needs the public key it is trusted by")
    try:
        evidence = [_of_this_pack(record, public_key, info.fingerprint) for record in records]
    except EvidenceRefused as refused:
        raise EvidenceMissing(str(refused)) from None
    return dataclasses.replace(info, calibration=calibration_from(evidence))


def calibration_from(evidence: Sequence[Evidence]) -> Calibration:
    """Return the points at which the records show a lawful FPIR. Raises EvidenceMissing when there is none.

    Only identification counts: pairs are no searches of a list. Rates and bounds are computed anew from the
    counts. What one record shows does not count where another one, or a group in it, refutes it. The default
    threshold is the lowest that they show on the largest list.
    """
    searched = [record for record in evidence if record.protocol == "identification"]
    refuted = [refusal for record in searched for refusal in _refuted(record)]
    points = sorted(
        (point for record in searched for point in _shown(record) if not _is_refuted(point, refuted)),
        key=lambda point: (point.threshold, -point.watchlist_size),
    )
    if not points:
        reasons = [record.wanted.reason for record in evidence if record.wanted and record.wanted.reason]
        raise EvidenceMissing("; ".join(["no record shows a false-positive rate low enough", *reasons]))
    largest = max(point.watchlist_size for point in points)
    return Calibration(
        default_threshold=min(point.threshold for point in points if point.watchlist_size == largest),
        data_set="; ".join(dict.fromkeys(record.data_set for record in evidence)),
        points=tuple(points),
    )


def _of_this_pack(record: Path, public_key: Path, fingerprint: str) -> Evidence:
    evidence = read_evidence(record, public_key)
    try:
        require_fingerprint(evidence, fingerprint)
    except EvidenceRefused as refused:
        raise EvidenceRefused(f"{record}: {refused}") from None
    return evidence


def _shown(record: Evidence) -> Iterator[OperatingPoint]:
    for measured in record.lists:
        for point in measured.points:
            if fpir_is_shown(point.fpir.count, point.fpir.total):
                yield _operating_point(point, measured.size)


def _refuted(record: Evidence) -> Iterator[tuple[float, int]]:
    """Yield each threshold and list size at which too many were falsely found, of everybody or of one group."""
    measured: list[tuple[float, int, CountedRate | None]] = [
        (point.threshold, each.size, point.fpir) for each in record.lists for point in each.points
    ]
    measured += [(group.threshold, group.list_size, group.fpir) for group in record.groups]
    for threshold, size, fpir in measured:
        if fpir is not None and fpir_is_refuted(fpir.count, fpir.total):
            yield threshold, size


def _is_refuted(point: OperatingPoint, refuted: Sequence[tuple[float, int]]) -> bool:
    """A lower threshold, or a longer list, gives more false positives still."""
    return any(point.threshold <= at and point.watchlist_size >= size for at, size in refuted)


def _operating_point(point: MeasuredPoint, list_size: int) -> OperatingPoint:
    fpir = proportion(point.fpir.count, point.fpir.total)
    tpir = proportion(point.tpir.count, point.tpir.total)
    return OperatingPoint(
        threshold=point.threshold,
        watchlist_size=list_size,
        fpir=fpir.value,
        fpir_upper_95=fpir.upper_95,
        tpir=tpir.value,
        tpir_lower_95=tpir.lower_95,
    )
