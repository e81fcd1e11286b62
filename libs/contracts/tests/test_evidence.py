"""Evidence records: only those that the trusted key signed, whole and about the right pack."""

import base64
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.contracts.evidence import (
    MAX_FILE_BYTES,
    SIGNATURE_CONTEXT,
    CountedRate,
    Evidence,
    EvidenceRefused,
    MeasuredGroup,
    MeasuredList,
    MeasuredPoint,
    SignedEvidence,
    Wanted,
    require_fingerprint,
    sign_evidence,
    verify_evidence,
)
from overt.contracts.evidence_files import read_evidence

NOT_SIGNED = "the record is not signed by the trusted key, or was edited since"


def rate(count: int, total: int) -> CountedRate:
    return CountedRate(count, total, count / total * 0.9, min(1.0, count / total + 0.1))


def point(threshold: float, false: int, found: int) -> MeasuredPoint:
    return MeasuredPoint(threshold, rate(false, 3000), rate(found, 900))


EVIDENCE = Evidence(
    protocol="identification",
    pack="cpu",
    fingerprint="5f" * 32,
    data_set="a set",
    data_set_sha256="ab" * 32,
    people=1000,
    failed_to_acquire=rate(3, 4000),
    failed_to_enrol=rate(0, 900),
    rank=5,
    lists=(MeasuredList(900, (point(0.4, 30, 880), point(0.5, 1, 800), point(0.6, 0, 600))),),
    groups=(MeasuredGroup("sex", "f", 0.5, 900, rate(0, 1500), None),),
    wanted=Wanted(0.001, 900, 0.6, ""),
    tool="overt 0.1.0",
    measured_at_s=1_700_000_000.0,
)


@pytest.fixture(scope="module")
def signed(key: Ed25519PrivateKey) -> bytes:
    return sign_evidence(EVIDENCE, key)


def test_a_record_of_the_trusted_key_is_verified(signed: bytes, key: Ed25519PrivateKey) -> None:
    assert verify_evidence(signed, key.public_key()) == EVIDENCE


def test_a_record_signed_by_somebody_else_is_refused(key: Ed25519PrivateKey) -> None:
    forged = sign_evidence(EVIDENCE, Ed25519PrivateKey.generate())
    with pytest.raises(EvidenceRefused, match=f"^{NOT_SIGNED}$"):
        verify_evidence(forged, key.public_key())


@settings(deadline=None)
@given(st.data())
def test_a_record_with_any_bit_of_it_changed_is_refused(
    signed: bytes, key: Ed25519PrivateKey, data: st.DataObject
) -> None:
    record = msgspec.json.decode(signed, type=SignedEvidence)
    whole = bytearray(record.evidence_json + record.signature)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    edited = SignedEvidence(evidence_json=bytes(whole[:-64]), signature=bytes(whole[-64:]))
    with pytest.raises(EvidenceRefused, match=f"^{NOT_SIGNED}$"):
        verify_evidence(msgspec.json.encode(edited), key.public_key())


def test_a_threshold_lowered_by_hand_is_refused(signed: bytes, key: Ed25519PrivateKey) -> None:
    record = msgspec.json.decode(signed)
    body = base64.b64decode(record["evidence_json"])
    assert b'"threshold":0.5' in body
    record["evidence_json"] = base64.b64encode(body.replace(b'"threshold":0.5', b'"threshold":0.3')).decode()
    with pytest.raises(EvidenceRefused, match=f"^{NOT_SIGNED}$"):
        verify_evidence(msgspec.json.encode(record), key.public_key())


def test_a_signature_over_something_else_is_no_signature_of_evidence(key: Ed25519PrivateKey) -> None:
    body = msgspec.json.encode(EVIDENCE)
    for context in (b"", b"overt order v1\x00"):
        other = SignedEvidence(evidence_json=body, signature=key.sign(context + body))
        with pytest.raises(EvidenceRefused, match=f"^{NOT_SIGNED}$"):
            verify_evidence(msgspec.json.encode(other), key.public_key())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not json"),
        (b"[]", "invalid: Expected `object`, got `array`"),
        (b"{}", "invalid: Object missing required field `evidence_json`"),
        (b'{"type":"signed_order.v1"}', "invalid: Value is none of the allowed ones"),
        (b'{"type":"signed_evidence.v1","evidence_json":"","signature":""}', "invalid: Expected `bytes`"),
    ],
)
def test_what_is_no_record_is_refused(content: bytes, reason: str, key: Ed25519PrivateKey) -> None:
    with pytest.raises(EvidenceRefused) as refused:
        verify_evidence(content, key.public_key())
    assert str(refused.value).startswith(f"the record is malformed: {reason}")


def test_a_record_that_is_too_large_is_refused_unread(key: Ed25519PrivateKey) -> None:
    with pytest.raises(EvidenceRefused, match="larger than"):
        verify_evidence(b" " * (MAX_FILE_BYTES + 1), key.public_key())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda body: body.replace(b'"protocol":"identification"', b'"protocol":"guess"'),
            "none of the allowed",
        ),
        (lambda body: body.replace(b'"rank":5', b'"rank":0'), "Expected `int` >= 1"),
        (lambda body: body.replace(b'"rank":5', b'"rank":5,"note":""'), "unknown field"),
        (lambda body: body.replace(b'"threshold":0.4', b'"threshold":0.55'), "thresholds must rise"),
        (lambda body: body.replace(b'"count":30', b'"count":0'), "does not hold its rate"),
        (lambda body: body.replace(b'"count":30', b'"count":3001'), "above its total"),
        (lambda body: body.replace(b'"points":[', b'"points":[{},', 1), "missing required field"),
    ],
)
def test_a_malformed_record_is_refused_though_the_trusted_key_signed_it(
    change: Callable[[bytes], bytes], reason: str, key: Ed25519PrivateKey
) -> None:
    body = change(msgspec.json.encode(EVIDENCE))
    assert body != msgspec.json.encode(EVIDENCE)
    signed = SignedEvidence(evidence_json=body, signature=key.sign(SIGNATURE_CONTEXT + body))
    with pytest.raises(EvidenceRefused, match=r"^the record is malformed: ") as refused:
        verify_evidence(msgspec.json.encode(signed), key.public_key())
    assert reason in str(refused.value)


def test_a_higher_threshold_can_not_find_more() -> None:
    with pytest.raises(ValueError, match="can't find more"):
        MeasuredList(900, (point(0.4, 1, 800), point(0.5, 2, 700)))


def test_a_record_nobody_would_accept_is_not_signed(key: Ed25519PrivateKey) -> None:
    with pytest.raises(ValueError, match="malformed"):
        sign_evidence(msgspec.structs.replace(EVIDENCE, rank=0), key)
    with pytest.raises(ValueError, match="bytes, at most"):
        sign_evidence(msgspec.structs.replace(EVIDENCE, tool="x" * 2_000_000), key)


def test_a_record_about_another_pack_is_refused_and_both_are_named() -> None:
    require_fingerprint(EVIDENCE, EVIDENCE.fingerprint)
    with pytest.raises(EvidenceRefused) as refused:
        require_fingerprint(EVIDENCE, "00" * 32)
    assert EVIDENCE.fingerprint in str(refused.value)
    assert "00" * 32 in str(refused.value)


def test_a_file_is_named_that_can_not_be_trusted(
    signed: bytes, key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    record, public = tmp_path / "evidence.json", tmp_path / "key.pub"
    record.write_bytes(signed)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert read_evidence(record, public) == EVIDENCE

    record.write_bytes(signed[:-9])
    with pytest.raises(EvidenceRefused, match=r"evidence\.json: the record is malformed"):
        read_evidence(record, public)
    with pytest.raises(EvidenceRefused, match=r"none\.json can't be read"):
        read_evidence(tmp_path / "none.json", public)
    public.write_text("no key")
    with pytest.raises(EvidenceRefused, match=r"key\.pub holds no public key in PEM"):
        read_evidence(record, public)
    other = generate_private_key(SECP256R1()).public_key()
    public.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(EvidenceRefused, match="another kind than Ed25519"):
        read_evidence(record, public)
