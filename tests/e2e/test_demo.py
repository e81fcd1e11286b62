"""Real pictures in, alerts out: the demo as its user runs it."""

from pathlib import Path

import pytest

from overt.cli.demo import DemoFiles

from .running import overt, overt_up

pytestmark = [pytest.mark.e2e, pytest.mark.models]


def test_the_enrolled_man_raises_exactly_one_alert_and_nobody_else_any(
    demo_files: DemoFiles, tmp_path: Path
) -> None:
    run = overt_up(demo_files.clip, demo_files.watchlist, tmp_path, "--category", "blue_list")
    assert run.code == 0, run.err
    assert run.alerts == [("blue-list-1", "camera-1")]
    assert run.summary["frames_read"] == 400
    assert run.summary["frames_dropped"] == 0
    assert run.summary["tracks"] >= 5
    assert run.summary["templates"] < 0.25 * run.summary["faces_seen"]
    (alert,) = run.summary["alerts"]
    assert alert["similarity"] >= alert["threshold"]


def test_the_demo_command_prints_one_line_of_json_and_keeps_the_rest_off_standard_output(
    demo_files: DemoFiles, tmp_path: Path
) -> None:
    run = overt("demo", "--once", "--json", "--port", "0", "--data", tmp_path)
    assert run.code == 0, run.err
    assert list(run.summary) == [
        *(
            "frames_read",
            "frames_dropped",
            "faces_seen",
            "tracks",
            "templates",
            "alerts",
            "seconds",
            "complete",
        ),
    ]
    assert run.alerts == [("blue-list-1", "camera-1")]
    assert "/login?token=" in run.err
    assert "Traceback" not in run.err


def test_two_cameras_of_one_deployment_fold_into_one_alert_an_entry(
    demo_files: DemoFiles, tmp_path: Path
) -> None:
    run = overt_up(demo_files.clip, demo_files.watchlist, tmp_path, "--video", str(demo_files.clip))
    assert run.code == 0, run.err
    assert [entry for entry, _ in run.alerts] == ["blue-list-1"]
    assert run.summary["frames_read"] == 800
