"""`overt evaluate verification`: the pairs file, the folds, and pairs without a face."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from overt.cli.__main__ import app
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.pairs import Pair, person_of, read_pairs
from overt.cli.evaluate.verification import accuracy_of, verify_pairs

RUNNER = CliRunner()
PAIRS = """\
first,second,same,fold
one/obama.jpg,one/obama2.jpg,1,1
one/obama.jpg,two/biden.jpg,0,1
one/obama.jpg,one/obama3.jpg,1,2
three/astronaut.png,four/grace_hopper.jpg,0,2
one/obama2.jpg,two/broken.jpg,0,2
"""


@pytest.mark.models
def test_pairs_are_told_right_and_a_pair_without_a_face_is_told_wrong(
    people_folder: Path, cache_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "pairs.csv").write_text(PAIRS)
    done = RUNNER.invoke(
        app,
        [
            *("evaluate", "verification", str(tmp_path / "pairs.csv"), "--pictures", str(people_folder)),
            *("--out", str(tmp_path / "out"), "--bootstrap", "10", "--cache", str(cache_dir)),
        ],
    )
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "out" / "result.json").read_bytes())
    assert result["folds"]["accuracies"] == [1.0, pytest.approx(2 / 3)]
    assert result["evidence"]["lists"][0]["points"][0]["fpir"]["total"] == 2
    assert {pair["second"] for pair in result["top_non_mated"]} == {"two/biden.jpg", "four/grace_hopper.jpg"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "FMR" in page
    assert "FPIR" not in page


def test_a_pair_of_one_person_without_a_face_is_a_miss_and_one_of_two_is_left_out() -> None:
    pairs = [Pair(f"{n}/a", f"{n}/b", same, None) for n, same in enumerate([True, True, False, False])]

    trials = verify_pairs(pairs, np.array([0.8, np.nan, 0.1, np.nan], np.float32))

    assert trials.mated_M.tolist() == [np.float32(0.8), -np.inf]
    assert trials.best_S.tolist() == [np.float32(0.1)]


def test_pairs_without_folds_have_no_accuracy_over_folds() -> None:
    pairs = [Pair("a/1", "a/2", True, None), Pair("a/1", "b/1", False, None)]
    assert accuracy_of(pairs, np.array([0.9, 0.1], np.float32)) is None


def test_pairs_in_the_form_of_lfw_are_read(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("2\t1\nAnna\t1\t4\nAnna\t2\tBerta\t1\nCarl\t1\t2\nCarl\t2\tDora\t11\n")
    assert read_pairs(file) == (
        Pair("Anna/Anna_0001.jpg", "Anna/Anna_0004.jpg", True, 1),
        Pair("Anna/Anna_0002.jpg", "Berta/Berta_0001.jpg", False, 1),
        Pair("Carl/Carl_0001.jpg", "Carl/Carl_0002.jpg", True, 2),
        Pair("Carl/Carl_0002.jpg", "Dora/Dora_0011.jpg", False, 2),
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("p.csv", "first,second\na,b\n", "has no column same"),
        ("p.csv", "first,second,same\na,b,maybe\n", "line 2: two pictures and same"),
        ("p.csv", "first,second,same,fold\na,b,1,x\n", "line 2: fold must be a whole number"),
        ("p.csv", "first,second,same\na,b,1\n", "has no pair of two people"),
        ("p.csv", "first,second,same,fold\na,b,1,1\na,c,0,\n", "some pairs have a fold"),
        ("p.csv", f"first,second,same,fold\na,b,1,{'9' * 5000}\n", "line 2: fold must be a whole number"),
        ("p.csv", "first,second,same\na,b,1\n/etc/a,b,0\n", "line 3: pictures must be paths within"),
        ("p.csv", "first,second,same\na,../b,1\n", "line 2: pictures must be paths within"),
        ("p.csv", "first,second,same\na,b\0,1\n", "line 2: pictures must be paths within"),
        ("p.csv", "first,second,same\nx/a,x//a,1\n", "line 2: a picture is compared with itself"),
        ("p.csv", "first,second,same,same\na,b,1,0\n", "has two columns 'same'"),
        ("p.csv", "\x00\x00", "has no column"),
        ("p.txt", "ten 300\n", "not in the form of LFW"),
        ("p.txt", "1 1\nAnna 1 2\n", "has 1 pairs, its first line says 2"),
        ("p.txt", "1 1\nAnna 1 2\nAnna one Berta 1\n", "line 3: not a pair"),
        ("p.txt", "1 1\nAnna 1 2\n.. 1 Berta 1\n", "line 3: pictures must be paths within"),
        ("p.txt", "1 1\nAnna 1 1\nAnna 1 Berta 1\n", "line 2: a picture is compared with itself"),
    ],
)
def test_a_pairs_file_that_is_wrong_is_refused_with_the_place(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(EvaluationRefused, match=reason):
        read_pairs(tmp_path / name)


def test_a_person_is_the_folder_of_a_picture() -> None:
    assert [person_of(name) for name in ("anna/1.jpg", "a/b/1.jpg", "1.jpg")] == ["anna", "a/b", "1.jpg"]
