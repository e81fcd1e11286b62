"""The command around the protocols: keys, labels, and what is refused before anything is measured."""

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from overt.cli.__main__ import app
from overt.cli.evaluate.dataset import Labels, data_set_sha256, read_labels, read_open_set
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.faces import NO_FILE, Faces, embed, keep
from overt.cli.evaluate.keys import make_key, read_private_key
from overt.contracts.evidence_files import read_public_key
from overt.recognition.pack import Pack, pack_info

RUNNER = CliRunner()


def test_a_key_is_for_its_owner_alone_and_belongs_to_its_public_part(tmp_path: Path) -> None:
    public = make_key(tmp_path / "evidence.pem")

    assert (tmp_path / "evidence.pem").stat().st_mode & 0o777 == 0o600
    signature = read_private_key(tmp_path / "evidence.pem").sign(b"a record")
    read_public_key(public).verify(signature, b"a record")


@pytest.mark.parametrize("there", ["evidence.pem", "evidence.pem.pub"])
def test_a_key_that_is_there_is_not_replaced(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("an old key")
    with pytest.raises(EvaluationRefused):
        make_key(tmp_path / "evidence.pem")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["an old key"]


def test_a_key_that_others_can_read_does_not_sign(tmp_path: Path) -> None:
    make_key(tmp_path / "evidence.pem")
    (tmp_path / "evidence.pem").chmod(0o640)
    with pytest.raises(EvaluationRefused, match="mode 640"):
        read_private_key(tmp_path / "evidence.pem")


def test_what_is_no_key_does_not_sign_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "evidence.pem").write_text("tiny-secret")
    (tmp_path / "evidence.pem").chmod(0o600)
    with pytest.raises(EvaluationRefused, match="holds no private key") as refused:
        read_private_key(tmp_path / "evidence.pem")
    assert "tiny-secret" not in str(refused.value)


def test_two_keys_differ(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_key(tmp_path / name)
    keys: list[Ed25519PrivateKey] = [read_private_key(tmp_path / name) for name in ("a", "b")]
    assert keys[0].private_bytes_raw() != keys[1].private_bytes_raw()


def test_without_the_extra_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "matplotlib" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    done = RUNNER.invoke(app, ["evaluate", "identification", str(tmp_path), "--out", str(tmp_path)])
    assert isinstance(done.exception, EvaluationRefused)
    assert "uv sync --extra evaluate" in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_record_is_verified_without_the_extra() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import overt.cli.__main__, overt.cli.evaluate.words"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_protocol_shows_an_example() -> None:
    for command in ("verification", "identification", "video", "key", "verify"):
        shown = RUNNER.invoke(app, ["evaluate", command, "--help"])
        assert shown.exit_code == 0, shown.output
        assert "Example" in shown.output


def test_labels_are_read_by_person_and_column(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("identity,sex,age_band\nanna,f,\nben,m, 18-24 \n")
    assert read_labels(tmp_path / "labels.csv") == Labels(
        ("sex", "age_band"), {"anna": ("f", ""), "ben": ("m", "18-24")}
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("person,sex\nanna,f\n", "has no column identity"),
        ("identity\nanna\n", "nothing to group by"),
        ("identity,sex\nanna,f\nanna,m\n", "line 3: anna stands there twice"),
        ("identity,sex,sex\nanna,f,m\n", "has two columns 'sex'"),
        (f"identity,sex\nanna,{'f' * 201}\n", "is longer than 200 characters"),
        (f"identity,{'s' * 201}\nanna,f\n", "is longer than 200 characters"),
        ("identity,n\n" + "".join(f"p{n},{n}\n" for n in range(501)), "has 501 groups, at most 500"),
    ],
)
def test_labels_that_are_wrong_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(EvaluationRefused, match=reason):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize("made", ["", "anna"])
def test_a_folder_without_anybody_to_enrol_is_refused(tmp_path: Path, made: str) -> None:
    (tmp_path / "people" / made).mkdir(parents=True)
    with pytest.raises(EvaluationRefused, match="nobody can be enrolled"):
        read_open_set(tmp_path / "people")
    with pytest.raises(EvaluationRefused, match="is not a folder"):
        read_open_set(tmp_path / "nothing here")


def test_the_hash_of_a_data_set_changes_with_every_name_and_byte(tmp_path: Path) -> None:
    first, second = tmp_path / "1.jpg", tmp_path / "2.jpg"
    first.write_bytes(b"one")
    second.write_bytes(b"two")

    def digest(**files: Path) -> str:
        return data_set_sha256(files, lambda done, total: None)

    original = digest(a=first, b=second)
    assert digest(b=second, a=first) == original
    others = [
        digest(a=first),
        digest(a=first, c=second),
        digest(a=second, b=first),
        digest(a=first, b=tmp_path),
    ]
    second.write_bytes(b"twO")
    others.append(digest(a=first, b=second))
    assert len({original, *others}) == 6


def test_what_is_no_regular_file_is_hashed_as_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    def digest(path: Path) -> str:
        return data_set_sha256({"a": path}, lambda done, total: None)

    assert digest(tmp_path / "fifo") == digest(Path("/dev/zero")) == digest(tmp_path / "nothing")


def test_what_is_no_regular_file_gives_no_template(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    pack = cast("Pack", SimpleNamespace(info=pack_info("cpu")))
    assert embed(tmp_path, ["fifo"], pack, lambda done, total: None).failures == {"fifo": NO_FILE}


@pytest.fixture
def two_people(tmp_path: Path) -> Path:
    """A folder of two people, one to enrol and one to search for; the files are no pictures."""
    for name in ("anna/1.jpg", "anna/2.jpg", "berta/1.jpg"):
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no picture")
    return tmp_path / "people"


def refusal(folder: Path, *options: str | Path) -> str:
    """Return why an evaluation is refused that would find no model if it went on."""
    arguments = [str(folder), "--out", str(folder.parent / "out"), "--models", str(folder)]
    done = RUNNER.invoke(app, ["evaluate", "identification", *arguments, *map(str, options)])
    assert isinstance(done.exception, EvaluationRefused), done.exception
    return str(done.exception)


def test_labels_that_name_nobody_are_refused_before_anything_is_measured(
    two_people: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text("identity,sex\nAnna,f\n")
    assert "names nobody of the data set" in refusal(two_people, "--labels", tmp_path / "labels.csv")


def test_templates_for_a_folder_that_is_not_there_are_refused_before_anything_is_measured(
    two_people: Path, tmp_path: Path
) -> None:
    assert "nowhere is not a folder" in refusal(two_people, "--keep", tmp_path / "nowhere" / "kept.npz")


@pytest.mark.parametrize("name", [b"anna/\xff.jpg", b"\xff/1.jpg"])
def test_a_name_that_is_not_in_utf8_is_refused_with_its_place(two_people: Path, name: bytes) -> None:
    path = two_people / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("no picture")
    reason = refusal(two_people)
    assert repr(str(two_people)) in reason
    assert repr(os.fsdecode(name)) in reason


@pytest.mark.parametrize("target", ["kept.npz", "nothing"])
def test_templates_are_never_kept_through_a_link_or_in_a_file_that_is_there(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "kept.npz").write_text("other content")
    (tmp_path / "link").symlink_to(tmp_path / target)
    faces = Faces(np.zeros((0, 4), np.float32), {}, {})
    for path in (tmp_path / "kept.npz", tmp_path / "link", tmp_path / "nowhere" / "kept.npz"):
        with pytest.raises(EvaluationRefused, match="can't be kept"):
            keep(path, faces, data_set="", fingerprint="")
    assert (tmp_path / "kept.npz").read_text() == "other content"
    assert not (tmp_path / "nothing").exists()
