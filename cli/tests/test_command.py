import resource
from pathlib import Path

from typer.testing import CliRunner

from overt.cli.__main__ import app
from overt.ingest.errors import SourceRefused
from overt.recognition.errors import FetchFailed
from overt.runtime.process import CannotBegin

RUNNER = CliRunner()


def test_help_shows_every_command_and_where_to_start() -> None:
    shown = RUNNER.invoke(app, ["--help"])
    assert shown.exit_code == 0
    for word in ("demo", "up", "models", "topics", "verify", "Start with: overt demo"):
        assert word in shown.output


def test_every_command_shows_an_example() -> None:
    for command in (
        ["demo"],
        ["up"],
        ["models", "fetch"],
        ["models", "list"],
        ["models", "convert"],
        ["topics", "apply"],
        ["verify", "record"],
    ):
        shown = RUNNER.invoke(app, [*command, "--help"])
        assert shown.exit_code == 0, shown.output
        assert "Example" in shown.output


def test_an_order_longer_than_twelve_hours_is_refused_on_the_command_line() -> None:
    done = RUNNER.invoke(app, ["up", "--video", "a", "--watchlist", "b", "--hours", "13"])
    assert done.exit_code == 2
    assert "12" in done.output


def test_there_is_no_free_text_category() -> None:
    done = RUNNER.invoke(app, ["up", "--video", "a", "--watchlist", "b", "--category", "other"])
    assert done.exit_code == 2


def test_a_deployment_in_this_process_leaves_no_core(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        done = RUNNER.invoke(app, ["up", "--video", str(tmp_path / "none.mp4"), "--watchlist", str(tmp_path)])
        assert isinstance(done.exception, SourceRefused)
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] in (0, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def test_zones_that_make_no_sense_end_the_run_before_it_begins(tmp_path: Path) -> None:
    zones = tmp_path / "zones.toml"
    zones.write_text("[cameras.camera-1]\npolygon = [[0, 0], [1, 1]]\n")
    data = tmp_path / "data"
    told = [
        "up",
        "--video",
        "none.mp4",
        "--watchlist",
        str(tmp_path),
        "--zones",
        str(zones),
        "--data",
        str(data),
    ]
    done = RUNNER.invoke(app, told)
    assert isinstance(done.exception, CannotBegin)
    assert "cameras.camera-1.polygon: has 2 corners" in str(done.exception)
    assert not data.exists()


def test_a_folder_that_cannot_be_made_and_weights_that_are_not_there_are_said_in_a_line(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    done = RUNNER.invoke(app, ["models", "fetch", "--cache", str(file)])
    assert isinstance(done.exception, FetchFailed)
    assert "can't be filled: Not a directory" in str(done.exception)
    done = RUNNER.invoke(app, ["models", "convert", str(tmp_path / "none.pt"), str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "does not exist" in done.output
