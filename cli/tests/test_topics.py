"""`overt topics`: what it asks of the command line before it talks to Kafka."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from overt.cli.__main__ import app
from overt.cli.topics import PASSWORD

RUNNER = CliRunner()
NOWHERE = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BOOTSTRAP", "USERNAME", "PASSWORD", "CA_FILE"):
        monkeypatch.delenv(f"OVERT_KAFKA_{name}", raising=False)


@pytest.mark.parametrize("verb", ["apply", "check"])
def test_help_shows_examples_and_where_the_password_comes_from(verb: str) -> None:
    shown = RUNNER.invoke(app, ["topics", verb, "--help"])
    assert shown.exit_code == 0
    for words in ("Examples:", "--password-file", PASSWORD, "--ca-file", "--acls"):
        assert words in shown.output


@pytest.mark.parametrize("verb", ["apply", "check"])
def test_a_user_without_a_password_is_refused(verb: str) -> None:
    done = RUNNER.invoke(app, ["topics", verb, "--kafka", NOWHERE, "--username", "operator"])
    assert done.exit_code == 2
    assert "--password-file" in done.output


@pytest.mark.parametrize("option", ["--password-file", "--ca-file"])
def test_a_password_or_a_certificate_without_a_user_is_refused(option: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret-words")
    done = RUNNER.invoke(app, ["topics", "check", "--kafka", NOWHERE, option, str(tmp_path / "file")])
    assert done.exit_code == 2
    assert "--username" in done.output
    assert "secret-words" not in done.output


def test_a_password_is_never_an_option() -> None:
    """Every user of the machine can read a command line."""
    done = RUNNER.invoke(app, ["topics", "check", "--kafka", NOWHERE, "--password", "secret-words"])
    assert done.exit_code == 2


def test_fewer_than_one_copy_is_refused() -> None:
    done = RUNNER.invoke(app, ["topics", "apply", "--kafka", NOWHERE, "--replication-factor", "0"])
    assert done.exit_code == 2
