from typer.testing import CliRunner

from overt.cli.__main__ import app

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
