"""Control leans on signed evidence: on its counts, about its own pack, and never on too few searches."""

import dataclasses
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from overt.contracts.evidence import (
    CountedRate,
    Evidence,
    MeasuredGroup,
    MeasuredList,
    MeasuredPoint,
    Wanted,
    sign_evidence,
)
from overt.control.errors import EvidenceMissing
from overt.control.evidence import calibration_from, with_evidence
from overt.control.policy import fpir_is_shown, threshold_floor
from overt.recognition.calibration import Calibration, OperatingPoint
from overt.recognition.metrics import proportion
from overt.recognition.pack import PackInfo

INFO = PackInfo(
    name="words",
    fingerprint="a" * 64,
    dimension=8,
    crop_size_px=112,
    licences=(),
    calibration=Calibration(0.1, "of the pack", (OperatingPoint(0.1, 20_000, 0.0, 0.001, 1.0, 1.0),)),
)


def rate(count: int, total: int) -> CountedRate:
    counted = proportion(count, total)
    return CountedRate(count, total, counted.lower_95, counted.upper_95)


def measured(size: int, *points: tuple[float, int], searches: int = 5_000) -> MeasuredList:
    return MeasuredList(
        size, tuple(MeasuredPoint(at, rate(false, searches), rate(80, 100)) for at, false in points)
    )


def evidence(*lists: MeasuredList, **changes: object) -> Evidence:
    usual = Evidence(
        protocol="identification",
        pack="words",
        fingerprint=INFO.fingerprint,
        data_set="a labelled set",
        data_set_sha256="b" * 64,
        people=10,
        failed_to_acquire=rate(0, 10),
        failed_to_enrol=rate(0, 10),
        rank=5,
        lists=lists,
        groups=(),
        wanted=None,
        tool="overt",
        measured_at_s=1.0,
    )
    return msgspec.structs.replace(usual, **changes)


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def public_key(key: Ed25519PrivateKey, tmp_path: Path) -> Path:
    path = tmp_path / "key.pub"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def written(tmp_path: Path, record: Evidence, key: Ed25519PrivateKey) -> Path:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
    path.write_bytes(sign_evidence(record, key))
    return path


def test_without_evidence_the_pack_is_as_it_says_of_itself() -> None:
    assert with_evidence(INFO, (), None) is INFO


def test_evidence_replaces_what_the_pack_says_of_itself(
    tmp_path: Path, key: Ed25519PrivateKey, public_key: Path
) -> None:
    small = written(tmp_path, evidence(measured(100, (0.4, 20), (0.5, 1), (0.6, 0))), key)
    large = written(tmp_path, evidence(measured(900, (0.5, 20), (0.6, 1))), key)

    calibration = with_evidence(INFO, (small, large), public_key).calibration

    assert [threshold_floor(calibration, size) for size in (1, 100, 101, 900, 901)] == [
        *(0.5, 0.5, 0.6, 0.6, None),
    ]
    assert calibration.default_threshold == 0.6
    assert calibration.data_set == "a labelled set"


@pytest.mark.parametrize(
    ("false", "searches", "shown"),
    [(0, 2995, True), (0, 2994, False), (0, 10, False), (1, 4742, True), (1, 4700, False), (5, 5000, False)],
)
def test_an_fpir_counts_as_shown_only_where_its_upper_bound_is_low_enough(
    false: int, searches: int, shown: bool
) -> None:
    assert fpir_is_shown(false, searches) is shown


def test_a_record_of_too_few_searches_allows_nothing_and_repeats_what_is_missing() -> None:
    few = evidence(
        measured(900, (0.5, 0), searches=1_988),
        wanted=Wanted(0.001, 900, None, "1007 more are needed"),
    )
    with pytest.raises(EvidenceMissing, match=r"no record shows .* low enough; 1007 more are needed"):
        calibration_from([few])


def test_what_one_record_shows_does_not_count_where_another_refutes_it() -> None:
    portraits = evidence(measured(900, (0.5, 0), (0.6, 0), (0.7, 0)))
    own_cameras = evidence(measured(100, (0.5, 200), (0.6, 4), (0.7, 4)))

    both = calibration_from([portraits, own_cameras])

    assert threshold_floor(calibration_from([portraits]), 900) == 0.5
    assert threshold_floor(both, 900) == 0.6, "4 of 5,000 refutes nothing"


def test_a_group_that_is_falsely_found_too_often_refutes_a_threshold_for_everybody() -> None:
    group = MeasuredGroup("age", "over 60", 0.6, 900, fpir=rate(30, 600), tpir=None)
    none_searched = MeasuredGroup("age", "under 20", 0.7, 900, fpir=None, tpir=rate(1, 2))
    points = ((0.5, 0), (0.6, 0), (0.7, 0))

    calibration = calibration_from([evidence(measured(900, *points), groups=(group, none_searched))])

    assert threshold_floor(calibration, 900) == 0.7


def test_pairs_are_no_searches_of_a_list() -> None:
    with pytest.raises(EvidenceMissing):
        calibration_from([evidence(measured(1, (0.5, 0)), protocol="verification")])


def test_bounds_are_computed_from_counts_and_not_believed() -> None:
    flattering = CountedRate(20, 5_000, 0.0, 0.004)
    point = MeasuredPoint(0.5, flattering, rate(80, 100))
    with pytest.raises(EvidenceMissing):
        calibration_from([evidence(MeasuredList(900, (point,)))])


@pytest.mark.parametrize("case", ["forged", "of another pack", "without a key"])
def test_what_is_not_to_be_trusted_is_refused(
    case: str, tmp_path: Path, key: Ed25519PrivateKey, public_key: Path
) -> None:
    signer = Ed25519PrivateKey.generate() if case == "forged" else key
    record = written(tmp_path, evidence(measured(900, (0.5, 0))), signer)
    info = dataclasses.replace(INFO, fingerprint="c" * 64) if case == "of another pack" else INFO
    reason = {
        "forged": "not signed by the trusted key",
        "of another pack": f"about the pack with fingerprint {'a' * 64}, the loaded pack",
        "without a key": "needs the public key",
    }[case]
    with pytest.raises(EvidenceMissing, match=reason):
        with_evidence(info, (record,), None if case == "without a key" else public_key)
