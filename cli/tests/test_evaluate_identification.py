"""`overt evaluate identification` on photographs, from the command line to what lies in the folder."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from overt.cli.__main__ import app
from overt.cli.evaluate.errors import EvaluationRefused
from overt.contracts.evidence import EvidenceRefused, sign_evidence
from overt.contracts.evidence_files import read_evidence
from overt.recognition.pack import pack_info

RUNNER = CliRunner()
pytestmark = pytest.mark.models


def evaluate(*arguments: str | Path) -> Result:
    return RUNNER.invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def signed_run(people_folder: Path, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of one run that was signed, the key, and the templates that were kept."""
    folder = tmp_path_factory.mktemp("run")
    labels = folder / "labels.csv"
    labels.write_text("identity,sex,age_band\none,m,40-60\ntwo,m,60+\nthree,f,\nfour,f,60+\n")
    assert evaluate("key", folder / "evidence.pem").exit_code == 0
    done = evaluate(
        *("identification", people_folder, "--out", folder / "out", "--labels", labels),
        *("--sign", folder / "evidence.pem", "--keep", folder / "kept.npz", "--fpir", "0.5"),
        *("--bootstrap", "50", "--cache", cache_dir),
    )
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def result(signed_run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((signed_run / "out" / "result.json").read_bytes())
    return found


def test_who_has_several_pictures_is_searched_for_and_who_has_one_is_a_stranger(
    result: dict[str, Any], signed_run: Path
) -> None:
    evidence = result["evidence"]
    assert [each["size"] for each in evidence["lists"]] == [2, 3]
    assert evidence["lists"][1]["points"][0]["fpir"]["total"] == 4
    with (signed_run / "out" / "mated.csv").open() as file:
        mated = [row for row in csv.DictReader(file) if row["list_size"] == "2"]
    found = {row["picture"] for row in mated if row["rank"] == "1"}
    assert found == {"one/obama2.jpg", "one/obama3.jpg"}


def test_a_file_that_is_no_picture_is_counted_and_named_with_its_reason(
    result: dict[str, Any], signed_run: Path
) -> None:
    assert result["evidence"]["failed_to_acquire"]["count"] == result["failures"] == 1
    assert (signed_run / "out" / "failures.csv").read_text() == (
        'picture,reason\ntwo/broken.jpg,"unsupported: not a picture, or of a kind that is not read"\n'
    )


def test_a_mated_search_without_a_template_counts_as_missed(signed_run: Path) -> None:
    with (signed_run / "out" / "mated.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["picture"] == "two/broken.jpg"]
    assert [row["score"] for row in rows] == ["-inf", "-inf"]


def test_groups_of_the_labels_file_are_counted_apart(result: dict[str, Any]) -> None:
    groups = {(group["column"], group["value"]): group for group in result["evidence"]["groups"]}
    assert set(groups) == {("age_band", "40-60"), ("age_band", "60+"), ("sex", "f"), ("sex", "m")}
    assert groups["sex", "f"]["fpir"]["total"] == 2
    assert groups["sex", "f"]["tpir"] is None
    assert groups["sex", "m"]["tpir"]["total"] == 3


def test_the_report_shows_everything_and_refers_to_nothing_outside(signed_run: Path) -> None:
    page = (signed_run / "out" / "report.html").read_text()
    assert page.count("<svg") == 5
    for word in ("DET", "ROC", "FPIR and TPIR against the threshold", "Scores", "By group", "sex"):
        assert word in page
    assert not re.findall(r"https?:|url\((?!#)|src=|@import|<script|<link|<image", page)
    references = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert {"".join(each) for each in references} <= set(identifiers)
    assert len(identifiers) == len(set(identifiers))


def test_no_template_and_no_picture_lies_in_the_folder_of_results(signed_run: Path) -> None:
    files = {path.name for path in (signed_run / "out").iterdir()}
    assert files == {
        *("result.json", "points.csv", "mated.csv", "non_mated.csv", "failures.csv", "groups.csv"),
        *("report.html", "evidence.json"),
    }
    for path in (signed_run / "out").iterdir():
        assert "data:image" not in path.read_text()


def test_what_is_kept_is_readable_by_its_owner_alone_and_spares_the_embedding(
    signed_run: Path, people_folder: Path, tmp_path: Path, result: dict[str, Any]
) -> None:
    assert (signed_run / "kept.npz").stat().st_mode & 0o777 == 0o600
    done = evaluate(
        *("identification", people_folder, "--out", tmp_path, "--keep", signed_run / "kept.npz"),
        *("--bootstrap", "10", "--cache", tmp_path / "no models here"),
    )
    assert done.exit_code == 0, done.output
    again = json.loads((tmp_path / "result.json").read_bytes())
    assert again["evidence"]["failed_to_acquire"] == result["evidence"]["failed_to_acquire"]
    assert again["rank_one"] == result["rank_one"]
    assert again["signed"] is False
    assert "unsigned" in done.stderr
    assert "unsigned" in (tmp_path / "report.html").read_text()


def test_templates_of_other_pictures_are_not_taken(
    signed_run: Path, people_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    for name in ("obama.jpg", "obama2.jpg"):
        (tmp_path / "one" / name).write_bytes((people_folder / "one" / name).read_bytes())
    done = evaluate("identification", tmp_path, "--out", tmp_path / "out", "--keep", signed_run / "kept.npz")
    assert isinstance(done.exception, EvaluationRefused)
    assert "other pictures or another pack" in str(done.exception)


def test_too_few_searches_give_no_threshold_and_say_how_many_more(
    people_folder: Path, signed_run: Path, tmp_path: Path
) -> None:
    done = evaluate(
        *("identification", people_folder, "--out", tmp_path, "--keep", signed_run / "kept.npz"),
        *("--fpir", "0.01", "--bootstrap", "10"),
    )
    assert "can't be shown with 2 non-mated searches: 297 more are needed" in done.stderr
    wanted = json.loads((tmp_path / "result.json").read_bytes())["evidence"]["wanted"]
    assert wanted["threshold"] is None


def test_a_list_larger_than_the_set_gives_no_threshold(
    people_folder: Path, signed_run: Path, tmp_path: Path
) -> None:
    done = evaluate(
        *("identification", people_folder, "--out", tmp_path, "--keep", signed_run / "kept.npz"),
        *("--list-size", "500", "--bootstrap", "10"),
    )
    assert "a list of 500 was not measured, the largest has 3: the set needs 497 more" in done.stderr


def test_the_record_says_what_the_result_says_and_who_signed_it(
    signed_run: Path, result: dict[str, Any]
) -> None:
    evidence = read_evidence(signed_run / "out" / "evidence.json", signed_run / "evidence.pem.pub")
    assert evidence.fingerprint == pack_info("cpu").fingerprint == result["evidence"]["fingerprint"]
    assert evidence.data_set_sha256 == result["evidence"]["data_set_sha256"]
    shown = evaluate(
        "verify", signed_run / "out" / "evidence.json", "--public-key", signed_run / "evidence.pem.pub"
    )
    assert shown.exit_code == 0
    assert "signed: identification of pack cpu" in shown.stderr


def test_a_record_under_another_key_is_refused(signed_run: Path, tmp_path: Path) -> None:
    evidence = read_evidence(signed_run / "out" / "evidence.json", signed_run / "evidence.pem.pub")
    forged = tmp_path / "forged.json"
    forged.write_bytes(sign_evidence(evidence, Ed25519PrivateKey.generate()))
    done = evaluate("verify", forged, "--public-key", signed_run / "evidence.pem.pub")
    assert isinstance(done.exception, EvidenceRefused)


def test_a_gallery_and_probes_in_folders_of_their_own_are_an_open_set(
    people_folder: Path, cache_dir: Path, tmp_path: Path
) -> None:
    for part, person, name in (
        *(("gallery", "one", "obama.jpg"), ("gallery", "two", "biden.jpg")),
        *(("probe", "one", "obama2.jpg"), ("probe", "four", "grace_hopper.jpg")),
    ):
        (tmp_path / "set" / part / person).mkdir(parents=True)
        source = people_folder / person / name
        (tmp_path / "set" / part / person / name).write_bytes(source.read_bytes())
    done = evaluate(
        *("identification", tmp_path / "set", "--out", tmp_path / "out", "--bootstrap", "10"),
        *("--cache", cache_dir),
    )
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "result.json").read_bytes())
    assert [each["size"] for each in found["evidence"]["lists"]] == [2]
    assert found["rank_one"][0]["rate"]["count"] == 1


def test_results_that_cannot_be_written_are_refused_in_one_line(
    signed_run: Path, people_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "points.csv").mkdir()
    done = evaluate(
        *("identification", people_folder, "--out", tmp_path, "--keep", signed_run / "kept.npz"),
        *("--bootstrap", "10"),
    )
    assert isinstance(done.exception, EvaluationRefused)
    assert "points.csv can't be written: Is a directory" in str(done.exception)


def test_a_record_that_cannot_be_signed_is_refused_in_one_line(
    signed_run: Path, people_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overt.contracts.evidence.MAX_EVIDENCE_BYTES", 100)
    done = evaluate(
        *("identification", people_folder, "--out", tmp_path, "--keep", signed_run / "kept.npz"),
        *("--bootstrap", "10", "--sign", signed_run / "evidence.pem"),
    )
    assert isinstance(done.exception, EvaluationRefused)
    assert "can't be signed: the record has" in str(done.exception)
    assert not (tmp_path / "result.json").exists()


def test_figures_of_nobody_do_not_take_the_place_of_signed_evidence(
    signed_run: Path, people_folder: Path
) -> None:
    record = (signed_run / "out" / "evidence.json").read_bytes()
    done = evaluate("identification", people_folder, "--out", signed_run / "out")
    assert isinstance(done.exception, EvaluationRefused)
    assert "holds signed evidence" in str(done.exception)
    assert (signed_run / "out" / "evidence.json").read_bytes() == record
