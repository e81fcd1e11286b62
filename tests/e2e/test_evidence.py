"""Evidence on the way from an evaluation to an order, and clips evaluated by the whole pipeline."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from overt.cli.demo import DemoFiles
from overt.contracts.evidence import CountedRate, Evidence, MeasuredList, MeasuredPoint, sign_evidence
from overt.recognition.pack import pack_info

from .running import overt, overt_up

pytestmark = [pytest.mark.e2e, pytest.mark.models]


def few(count: int, total: int) -> CountedRate:
    return CountedRate(count, total, 0.0, 1.0)


def record_of(threshold: float, fingerprint: str) -> Evidence:
    point = MeasuredPoint(threshold, few(0, 5_000), few(900, 1_000))
    return Evidence(
        protocol="identification",
        pack="cpu",
        fingerprint=fingerprint,
        data_set="made up for a test",
        data_set_sha256="0" * 64,
        people=6_000,
        failed_to_acquire=few(0, 6_000),
        failed_to_enrol=few(0, 1_000),
        rank=5,
        lists=(MeasuredList(1_000, (point,)),),
        groups=(),
        wanted=None,
        tool="a test",
        measured_at_s=1.0,
    )


@pytest.fixture
def evidence(tmp_path: Path) -> tuple[str | Path, ...]:
    """The options that name a record which allows thresholds from 0.61 on, and the key it is trusted by."""
    key = Ed25519PrivateKey.generate()
    record, public = tmp_path / "evidence.json", tmp_path / "key.pub"
    record.write_bytes(sign_evidence(record_of(0.61, pack_info("cpu").fingerprint), key))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return "--evidence", record, "--evidence-key", public


def test_an_order_takes_its_threshold_from_the_evidence(
    demo_files: DemoFiles, evidence: tuple[str, ...], tmp_path: Path
) -> None:
    run = overt_up(demo_files.clip, demo_files.watchlist, tmp_path / "data", *evidence)
    assert run.code == 0, run.err
    assert [alert["threshold"] for alert in run.summary["alerts"]] == [0.61]
    assert run.summary["complete"] is True


def test_a_threshold_that_the_evidence_does_not_show_is_refused(
    demo_files: DemoFiles, evidence: tuple[str, ...], tmp_path: Path
) -> None:
    run = overt_up(demo_files.clip, demo_files.watchlist, tmp_path / "data", *evidence, "--threshold", "0.58")
    assert run.code == 2
    assert "the threshold is 0.580, the evidence begins at 0.610" in run.err


def test_edited_evidence_ends_the_command_before_anything_begins(
    demo_files: DemoFiles, evidence: tuple[Path, ...], tmp_path: Path
) -> None:
    content = evidence[1].read_bytes()
    evidence[1].write_bytes(content.replace(b'"signature":"', b'"signature":"AAAA')[: len(content)])
    run = overt_up(demo_files.clip, demo_files.watchlist, tmp_path / "data", *map(str, evidence))
    assert run.code == 2
    assert "evidence.json: the record is" in run.err
    assert not (tmp_path / "data").exists()


def test_clips_are_evaluated_by_the_whole_pipeline(demo_files: DemoFiles, tmp_path: Path) -> None:
    clips = tmp_path / "clips.toml"
    clips.write_text(
        f'watchlist = "{demo_files.watchlist}"\n[[clips]]\nvideo = "{demo_files.clip}"\nexpected = ["blue-list-1"]\n'
    )
    run = overt("evaluate", "video", clips, "--out", tmp_path / "out")
    assert run.code == 0, run.err
    assert f"{demo_files.clip.name}: found blue-list-1" in run.err
    result = json.loads((tmp_path / "out" / "result.json").read_bytes())
    assert result["recognised"]["count"] == result["recognised"]["total"] == 1
    assert result["false_alerts"]["count"] == 0
