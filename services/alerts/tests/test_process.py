"""The service as a process: what it starts, what it prints, and how it refuses to begin."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from overt.alerts.__main__ import api_runners, command, stream_runners
from overt.alerts.server import PortBusy
from overt.alerts.settings import ApiSettings, StreamSettings
from overt.contracts.context import Context
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.process import CannotBegin, Runner
from services.alerts.tests.conftest import World

SHARED: dict[str, Any] = {
    "kafka_bootstrap": "127.0.0.1:1",
    "control_url": "http://127.0.0.1:1",
    "service_token": SecretStr("a-token-of-sixteen-or-more"),
    "order_public_key": base64.b64encode(b"k" * 32).decode(),
}


def database(tmp_path: Path) -> SecretStr:
    return SecretStr(f"sqlite:///{tmp_path}/process/alerts.db")


def api(tmp_path: Path, port: int = 0) -> ApiSettings:
    return ApiSettings(**SHARED, alerts_database_url=database(tmp_path), alerts_port=port)


def context(world: World) -> Context:
    registry = CollectorRegistry()
    return replace(world.context, registry=registry, loops=LoopCollectors(registry))


def run_and_stop(runners: Mapping[str, Runner]) -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=run, args=(stop,)) for run in runners.values()]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)


def test_the_api_prints_a_link_for_everybody_and_every_part_ends_when_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = api_runners(context(world), api(tmp_path))
    assert started.keys() == {"alerts-watch", "alerts-web"}
    names = [line.partition(": http://127.0.0.1:")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["Operator 1", "Operator 2", "Engagement officer", "Supervisor"]
    run_and_stop(started)


def test_everything_beside_the_stream_ends_when_told(world: World, tmp_path: Path) -> None:
    settings = StreamSettings(**SHARED, alerts_database_url=database(tmp_path))
    started = dict(stream_runners(context(world), settings))
    assert started.pop("alerts") is not None
    assert started.keys() == {"alerts-relay", "alerts-cards", "alerts-escalation"}
    run_and_stop(started)


def test_a_busy_port_keeps_the_process_from_beginning(world: World, tmp_path: Path) -> None:
    taken = world.service.web()
    with pytest.raises(PortBusy, match="Address already in use") as refused:
        api_runners(context(world), api(tmp_path, taken.port))
    assert isinstance(refused.value, CannotBegin), "so the process ends with code 2 and one line"
    taken.close()


@pytest.mark.parametrize("part", ["stream", "api"])
def test_a_process_without_its_settings_says_which_in_one_line_and_exits_with_2(part: str) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OVERT_")}
    ended = subprocess.run(
        [sys.executable, "-m", "overt.alerts", part],
        env=bare,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "OVERT_SERVICE_TOKEN" in line
    assert ended.stdout == ""


@pytest.mark.parametrize("part", ["stream", "api"])
def test_help_lists_every_setting_of_a_part_and_no_value_of_a_secret(
    part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command([part, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "OVERT_ALERTS_DATABASE_URL" in text
    assert "OVERT_SERVICE_TOKEN (required)" in text
    assert ("OVERT_ALERTS_WINDOW_S (default: 30.0)" in text) == (part == "stream")
    assert ("OVERT_ALERTS_PORT (default: 8080)" in text) == (part == "api")


def test_without_a_part_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert command([]) == 2
    assert "{stream,api}" in capsys.readouterr().err
