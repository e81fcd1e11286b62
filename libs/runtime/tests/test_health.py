"""Health over HTTP."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from overt.runtime.health import Health, HealthServer, PortTaken


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(health: Health, registry: CollectorRegistry) -> Iterator[httpx.Client]:
    server = HealthServer(health, registry, "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        yield client
    server.stop()


def test_ready_turns_with_the_problems_and_alive_does_not(client: httpx.Client, health: Health) -> None:
    assert client.get("/readyz").status_code == 200
    health.set("kafka", "out of reach")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"problems": {"kafka": "out of reach"}})
    assert client.get("/healthz").status_code == 200
    health.set("kafka", None)
    health.set("never there", None)
    assert client.get("/readyz").status_code == 200


def test_the_metrics_of_the_registry_are_told(client: httpx.Client, registry: CollectorRegistry) -> None:
    Counter("overt_test_things_total", "Things.", registry=registry).inc(3)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "overt_test_things_total 3.0" in answer.text


def test_there_is_nothing_else(client: httpx.Client) -> None:
    assert client.get("/").status_code == 404
    assert client.post("/readyz").status_code == 501
    assert "Python" not in client.get("/").headers["Server"]


def test_a_client_that_breaks_off_writes_no_line(
    health: Health, registry: CollectorRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    server = HealthServer(health, registry, "127.0.0.1", 0)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as rude:
        rude.sendall(b"GET /metr")
    assert json.loads(httpx.get(f"http://127.0.0.1:{server.port}/healthz", trust_env=False).content)
    server.stop()
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_is_one_clear_line(health: Health, registry: CollectorRegistry) -> None:
    first = HealthServer(health, registry, "127.0.0.1", 0)
    with pytest.raises(
        PortTaken, match=rf"^cannot listen on 127\.0\.0\.1:{first.port}: Address already in use$"
    ):
        HealthServer(health, registry, "127.0.0.1", first.port)
    first.stop()


def test_a_stopped_server_gives_its_port_back(health: Health, registry: CollectorRegistry) -> None:
    first = HealthServer(health, registry, "127.0.0.1", 0)
    first.start()
    first.stop()
    second = HealthServer(health, registry, "127.0.0.1", first.port)
    second.stop()
