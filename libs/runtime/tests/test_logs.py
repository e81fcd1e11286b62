"""Logs: one line an event on standard error, and never what a variable held."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from overt.runtime import logs


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    talkative = {name: logging.getLogger(name).level for name in logs.TALKATIVE}
    yield
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)
    for name, was in talkative.items():
        logging.getLogger(name).setLevel(was)


def fail(picture: str) -> None:
    raise ZeroDivisionError("by zero")


def log_a_failure() -> None:
    # Made at run time, so that no line of source, which a traceback may show, holds it.
    face = bytes.fromhex("66616365 31323334").decode()
    try:
        fail(face)
    except ZeroDivisionError:
        structlog.get_logger().exception("it failed", camera_id="camera-1")


def test_json_is_one_object_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "json")
    structlog.get_logger().info("batch done", records=3)
    logging.getLogger("some.library").warning("it says %s", "so")
    out, err = capsys.readouterr()
    assert out == ""
    mine, theirs = (json.loads(line) for line in err.splitlines())
    assert (mine["event"], mine["records"], mine["level"]) == ("batch done", 3, "info")
    assert mine["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"]) == ("it says so", "warning")


def test_a_line_for_people_holds_the_text_and_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "console")
    structlog.get_logger().warning("frame skipped", camera_id="camera-1")
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "frame skipped" in err
    assert "camera_id=camera-1" in err


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("WARNING", "json")
    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet")
    assert capsys.readouterr().err == ""


def test_a_request_is_not_worth_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("DEBUG", "json")
    logging.getLogger("httpx").info("HTTP Request: GET https://control/v1/keys/by-id?key_id=camp/epoch/1")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("layout", ["json", "console"])
def test_a_traceback_shows_no_variables(layout: logs.LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", layout)
    log_a_failure()
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err
    assert "log_a_failure" in err
    assert "face1234" not in err


def test_configuring_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "json")
    logs.configure("INFO", "json")
    structlog.get_logger().info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1
