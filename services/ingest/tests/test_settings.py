import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from overt.ingest.__main__ import runners
from overt.ingest.settings import CameraOptions, IngestOptions, IngestSettings
from overt.runtime.process import CannotBegin
from overt.runtime.settings import SettingsError, load

from .conftest import World

REQUIRED = {
    "OVERT_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "OVERT_CONTROL_URL": "http://127.0.0.1:8000",
    "OVERT_SERVICE_TOKEN": "a-token-of-a-service",
    "OVERT_ORDER_PUBLIC_KEY": "A" * 43 + "=",
}
CAMERAS = [{"camera_id": "north", "source": "rtsp://u:hunter2@host/s", "rate_hz": 12.5}]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**REQUIRED, "OVERT_INGEST_CAMERAS": json.dumps(CAMERAS)}.items():
        monkeypatch.setenv(name, value)


def test_cameras_are_read_from_json_and_everything_else_has_a_default() -> None:
    options = load(IngestSettings).options()
    assert options.cameras == (
        CameraOptions(camera_id="north", source="rtsp://u:hunter2@host/s", rate_hz=12.5),
    )
    assert (options.jpeg_quality, options.decode_threads) == (85, 1)
    assert options == IngestOptions(cameras=options.cameras)


@pytest.mark.parametrize(
    "cameras",
    [
        "no json hunter2",
        "[]",
        '[{"camera_id": "a b", "source": "hunter2.mp4"}]',
        '[{"camera_id": "a", "source": "hunter2.mp4", "rate_hz": 0}]',
        '[{"camera_id": "a", "source": "hunter2.mp4"}, {"camera_id": "a", "source": "hunter2.mp4"}]',
        '[{"camera_id": "a", "source": "hunter2.mp4", "colour": "red"}]',
    ],
)
def test_wrong_cameras_are_refused_in_one_line_that_shows_no_source(
    cameras: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERT_INGEST_CAMERAS", cameras)
    with pytest.raises(SettingsError, match="settings are wrong: OVERT") as refused:
        load(IngestSettings)
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_settings_and_options_do_not_show_a_source() -> None:
    settings = load(IngestSettings)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in repr(settings.options())


def test_a_camera_that_is_named_twice_is_refused() -> None:
    camera = CameraOptions(camera_id="a", source="a.mp4")
    with pytest.raises(ValidationError, match="named twice"):
        IngestOptions(cameras=(camera, camera))


def test_a_recording_that_is_missing_keeps_the_process_from_beginning(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setenv("OVERT_INGEST_CAMERAS", '[{"camera_id": "a", "source": "nowhere.mp4"}]')
    with pytest.raises(CannotBegin, match=r"there is no file or folder nowhere.mp4"):
        runners(world.context, load(IngestSettings))


def test_a_camera_out_of_reach_does_not_keep_the_process_from_beginning(world: World) -> None:
    assert list(runners(world.context, load(IngestSettings))) == ["ingest.north"]


def test_help_names_every_setting_with_its_default() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "overt.ingest", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for name in IngestSettings.model_fields:
        assert f"OVERT_{name.upper()}" in shown
    assert "[default 85]" in shown
    assert "[required]" in shown
