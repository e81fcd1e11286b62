"""The service as a process: what it starts, what it prints, and how it refuses to begin."""

import base64
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from overt.alerts.__main__ import runners
from overt.alerts.server import PortBusy
from overt.alerts.settings import AlertsSettings
from overt.contracts.context import Context
from overt.runtime.loop_metrics import LoopCollectors
from overt.runtime.process import CannotBegin
from services.alerts.tests.conftest import World


def settings(tmp_path: Path, port: int = 0) -> AlertsSettings:
    return AlertsSettings(
        kafka_bootstrap="127.0.0.1:1",
        control_url="http://127.0.0.1:1",
        service_token=SecretStr("a-token-of-sixteen-or-more"),
        order_public_key=base64.b64encode(b"k" * 32).decode(),
        alerts_database=tmp_path / "process" / "alerts.db",
        alerts_port=port,
    )


def context(world: World) -> Context:
    registry = CollectorRegistry()
    return replace(world.context, registry=registry, loops=LoopCollectors(registry))


def test_a_process_prints_a_link_for_everybody_and_every_part_ends_when_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = runners(context(world), settings(tmp_path))
    assert started.keys() == {"alerts", "alerts-relay", "alerts-cards", "alerts-web"}
    names = [line.partition(": http://127.0.0.1:")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["Operator 1", "Operator 2", "Engagement officer", "Supervisor"]
    stop = threading.Event()
    threads = [threading.Thread(target=run, args=(stop,)) for run in started.values()]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)


def test_a_busy_port_keeps_the_process_from_beginning(world: World, tmp_path: Path) -> None:
    taken = world.service.web()
    with pytest.raises(PortBusy, match="Address already in use") as refused:
        runners(context(world), settings(tmp_path, taken.port))
    assert isinstance(refused.value, CannotBegin), "so the process ends with code 2 and one line"
    taken.close()


def test_a_process_without_its_settings_says_which_in_one_line_and_exits_with_2() -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OVERT_")}
    ended = subprocess.run(
        [sys.executable, "-m", "overt.alerts"],
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
