"""Evidence records: what a model pack was measured to do, signed, so that control can lean on it."""

from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from overt.contracts.messages import MAX_INTEGER, Cosine, Count, Fingerprint, Sha256
from overt.contracts.reasons import UNDECODABLE, why

MAX_EVIDENCE_BYTES = 1_000_000
# Base64 takes a third more; the rest is the envelope around it.
MAX_FILE_BYTES = MAX_EVIDENCE_BYTES * 4 // 3 + 1_000
SIGNATURE_CONTEXT = b"overt evidence v1\x00"

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Trials = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
ListSize = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Protocol = Literal["identification", "verification"]


class EvidenceRefused(ValueError):
    """A record that proves nothing: forged, edited, malformed, or about another pack."""


class CountedRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` of `total`, with the ends of its two-sided 95 % Clopper-Pearson interval."""

    count: Count
    total: Trials
    lower_95: Share
    upper_95: Share

    def __post_init__(self) -> None:
        """Refuse what is no proportion, and an interval that does not hold it."""
        if self.count > self.total:
            raise ValueError("a count is above its total")
        if not self.lower_95 <= self.count / self.total <= self.upper_95:
            raise ValueError("an interval does not hold its rate")


class MeasuredPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was counted at one threshold. In a list of one entry it is FMR and TMR (ISO/IEC 19795-1)."""

    threshold: Cosine
    fpir: CountedRate
    tpir: CountedRate


class MeasuredList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All points of one list size, thresholds rising: the same searches at each."""

    size: ListSize
    points: Annotated[tuple[MeasuredPoint, ...], msgspec.Meta(min_length=1, max_length=500)]

    def __post_init__(self) -> None:
        """Refuse points that can't be of one set of searches."""
        for lower, higher in pairwise(self.points):
            if not lower.threshold < higher.threshold:
                raise ValueError("thresholds must rise")
            for before, after in ((lower.fpir, higher.fpir), (lower.tpir, higher.tpir)):
                if before.total != after.total or before.count < after.count:
                    raise ValueError("a higher threshold can't find more, nor in other searches")


class MeasuredGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One group at one threshold and list size; None: no such search was of this group."""

    column: Title
    value: Title
    threshold: Cosine
    list_size: ListSize
    fpir: CountedRate | None
    tpir: CountedRate | None


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked for, and the threshold that the sample supports, or why it supports none."""

    fpir: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    list_size: ListSize
    threshold: Cosine | None
    reason: Annotated[str, msgspec.Meta(max_length=500)]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One evaluation. `data_set_sha256` covers the relative path and content of every file that was used.

    `failed_to_acquire` counts pictures without a template, `failed_to_enrol` people who have none
    (ISO/IEC 19795-1). Found means: the right entry at or above the threshold, within `rank`.
    """

    protocol: Protocol
    pack: Title
    fingerprint: Fingerprint
    data_set: Title
    data_set_sha256: Sha256
    people: Count
    failed_to_acquire: CountedRate
    failed_to_enrol: CountedRate
    rank: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    lists: Annotated[tuple[MeasuredList, ...], msgspec.Meta(min_length=1, max_length=8)]
    groups: Annotated[tuple[MeasuredGroup, ...], msgspec.Meta(max_length=500)]
    wanted: Wanted | None
    tool: Title
    measured_at_s: Annotated[float, msgspec.Meta(gt=0)]


class SignedEvidence(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="signed_evidence.v1"
):
    """A record's exact bytes and an Ed25519 signature over them: bytes, so nothing is re-encoded."""

    evidence_json: Annotated[bytes, msgspec.Meta(max_length=MAX_EVIDENCE_BYTES)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


def sign_evidence(evidence: Evidence, key: Ed25519PrivateKey) -> bytes:
    """Return the signed record as a file's content (JSON). Raises ValueError for one nobody would accept."""
    evidence_json = msgspec.json.encode(evidence, order="deterministic")
    if len(evidence_json) > MAX_EVIDENCE_BYTES:
        raise ValueError(f"the record has {len(evidence_json)} bytes, at most {MAX_EVIDENCE_BYTES}")
    try:
        # Structs check the ranges of their fields only when decoded.
        msgspec.json.decode(evidence_json, type=Evidence)
    except UNDECODABLE as error:
        raise ValueError(f"the record is malformed: {why(error, 'json')}") from None
    signature = key.sign(SIGNATURE_CONTEXT + evidence_json)
    return msgspec.json.encode(SignedEvidence(evidence_json=evidence_json, signature=signature)) + b"\n"


def verify_evidence(content: bytes, key: Ed25519PublicKey) -> Evidence:
    """Return the record in a file's content that `key` signed. Raises EvidenceRefused."""
    if len(content) > MAX_FILE_BYTES:
        raise EvidenceRefused(f"the record is larger than {MAX_FILE_BYTES} bytes")
    try:
        signed = msgspec.json.decode(content, type=SignedEvidence)
        if not _signed_by(signed, key):
            raise EvidenceRefused("the record is not signed by the trusted key, or was edited since")
        return msgspec.json.decode(signed.evidence_json, type=Evidence)
    except UNDECODABLE as error:
        raise EvidenceRefused(f"the record is malformed: {why(error, 'json')}") from None


def require_fingerprint(evidence: Evidence, fingerprint: str) -> None:
    """Raise EvidenceRefused unless the record is about the pack with this fingerprint."""
    if evidence.fingerprint != fingerprint:
        raise EvidenceRefused(
            f"the record is about the pack with fingerprint {evidence.fingerprint}, "
            f"the loaded pack has fingerprint {fingerprint}"
        )


def _signed_by(signed: SignedEvidence, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(signed.signature, SIGNATURE_CONTEXT + signed.evidence_json)
    except InvalidSignature:
        return False
    return True
