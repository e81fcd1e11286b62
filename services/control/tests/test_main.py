"""The process: what it says and how it ends when it can't begin."""

import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from overt.control import __main__ as process
from overt.control.settings import ControlSettings
from overt.recognition import gallery_start
from overt.recognition.errors import GalleryUnavailable
from overt.runtime.health import Health
from overt.runtime.settings import load

TOLD = {
    "OVERT_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "OVERT_CONTROL_PORT": "0",
    "OVERT_CONTROL_OFFICER_TOKEN": "officer-token-0123456789",
    "OVERT_CONTROL_SERVICE_TOKENS": '{"match": "match-token-0123456789"}',
}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that is right but for the models and Kafka; log lines go to whoever captures them."""
    for name in [name for name in os.environ if name.startswith("OVERT_")]:
        monkeypatch.delenv(name)
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    for name in ("data_dir", "milvus_uri", "models_dir"):
        monkeypatch.setenv(f"OVERT_{name}".upper(), str(tmp_path / name))
    monkeypatch.setattr("overt.control.__main__.logs.configure", lambda *_: None)
    return monkeypatch


def reason() -> str:
    """Run, and return the one reason that is logged."""
    with structlog.testing.capture_logs() as lines:
        assert process.main() == 2
    assert len(lines) == 1
    assert lines[0]["event"] == "could not begin"
    return str(lines[0]["reason"])


def test_a_process_without_settings_says_so_in_one_line_and_ends_with_two() -> None:
    others = {name: value for name, value in os.environ.items() if not name.startswith("OVERT_")}
    command = [sys.executable, "-m", "overt.control"]
    ended = subprocess.run(command, env=others, capture_output=True, text=True, timeout=240, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("overt control: settings are wrong: ")
    assert len(ended.stderr.splitlines()) == 1


def test_settings_that_are_missing_are_named(
    told: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told.delenv("OVERT_MILVUS_URI")
    told.delenv("OVERT_CONTROL_OFFICER_TOKEN")
    assert process.main() == 2
    line = capsys.readouterr().err
    assert "OVERT_MILVUS_URI: is not set" in line
    assert "OVERT_CONTROL_OFFICER_TOKEN: is not set" in line


@pytest.mark.parametrize("tokens", ['{"match": "tiny-secret"}', "tiny-secret", '["tiny-secret"]'])
def test_tokens_that_are_wrong_are_not_shown(
    told: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tokens: str
) -> None:
    told.setenv("OVERT_CONTROL_SERVICE_TOKENS", tokens)
    with structlog.testing.capture_logs() as lines:
        assert process.main() == 2
    said = capsys.readouterr().err + str(lines)
    assert "token" in said.lower()
    assert "tiny-secret" not in said


def test_a_port_that_is_taken_is_named(told: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told.setenv("OVERT_CONTROL_PORT", str(port))
        assert reason().startswith(f"cannot listen on 127.0.0.1:{port}")


def test_model_files_that_are_missing_are_said_with_how_to_fetch_them(told: pytest.MonkeyPatch) -> None:
    assert "overt models fetch" in reason()


def test_evidence_that_can_not_be_read_is_named(told: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told.setenv("OVERT_EVIDENCE_FILES", f"{tmp_path / 'a.json'}{os.pathsep}{tmp_path / 'b.json'}")
    assert reason() == "evidence needs the public key it is trusted by"
    told.setenv("OVERT_EVIDENCE_KEY_FILE", str(tmp_path / "key.pub"))
    assert reason() == f"{tmp_path / 'key.pub'} can't be read: No such file or directory"


def test_control_leaves_no_core(told: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        assert "overt models fetch" in reason()
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] in (0, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


class Milvus:
    """Away for `absences` tries; notes what /readyz says at each."""

    def __init__(self, absences: int) -> None:
        self.absences = absences
        self.health = Health()
        self.said: list[str | None] = []

    def __call__(self, *_: object, **__: object) -> object:
        self.said.append(self.health.problems().get("gallery"))
        if len(self.said) <= self.absences:
            raise GalleryUnavailable("the gallery does not answer")
        return self


def connect(milvus: Milvus, monkeypatch: pytest.MonkeyPatch, patience_s: str) -> Any:
    monkeypatch.setattr(process, "Gallery", milvus)
    monkeypatch.setattr(gallery_start, "ASK_EVERY_S", 0)
    monkeypatch.setenv("OVERT_MILVUS_PATIENCE_S", patience_s)
    return process._gallery(load(ControlSettings), milvus.health)


def test_control_that_starts_before_milvus_waits_for_it(told: pytest.MonkeyPatch) -> None:
    milvus = Milvus(absences=2)
    with structlog.testing.capture_logs() as lines:
        assert connect(milvus, told, "3600") is milvus
    assert milvus.said == [None, "the gallery does not answer", "the gallery does not answer"]
    assert milvus.health.problems() == {}
    assert [line["event"] for line in lines] == ["waiting for Milvus"]


def test_a_milvus_that_stays_away_is_one_line_after_the_patience(told: pytest.MonkeyPatch) -> None:
    def build(settings: ControlSettings, health: Health, _: CollectorRegistry, __: ExitStack) -> Any:
        return process._gallery(settings, health)

    told.setattr(process, "Gallery", Milvus(absences=1))
    told.setattr(process, "_build", build)
    told.setenv("OVERT_MILVUS_PATIENCE_S", "0")
    assert reason().startswith("the gallery does not answer")


def test_an_interruption_while_waiting_is_no_traceback(told: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    told.setattr(process, "_build", interrupted)
    assert process.main() == 130


def test_sigterm_while_waiting_ends_in_order(told: pytest.MonkeyPatch) -> None:
    def terminated(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("must not get here")

    told.setattr(process, "_build", terminated)
    assert process.main() == 0
