"""match as a process that begins before its Milvus does, over a real Kafka: it waits, says why, and can be ended."""

import base64
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overt.contracts.topic_specs import topic_specs
from overt.runtime.envelope import DataKey
from overt.runtime.kafka import create_topics

from .alerts_stream import StandInControl
from .deployed import Service
from .servers.kafka import KafkaServer
from .servers.milvus import MilvusServer
from .servers.process import LOOPBACK, lasting_ports

pytestmark = pytest.mark.integration

PATIENCE_S = 60.0
Begin = Callable[[int], Service]


@pytest.fixture
def health_port() -> int:
    """Where match answers, known before it says so."""
    return lasting_ports(1)[0]


@pytest.fixture
def begin(kafka: KafkaServer, tmp_path: Path, health_port: int) -> Iterator[Begin]:
    """Begins a match that looks for Milvus at a port; at the end none is left."""
    create_topics(kafka.bootstrap, topic_specs())
    order_key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    begun: list[Service] = []
    with StandInControl(DataKey("unused", "unused", b"k" * 32, None)) as control:

        def begin(milvus_port: int) -> Service:
            told = {
                "OVERT_KAFKA_BOOTSTRAP": kafka.bootstrap,
                "OVERT_CONTROL_URL": control.url,
                "OVERT_SERVICE_TOKEN": "a-token-of-this-service",
                "OVERT_ORDER_PUBLIC_KEY": base64.b64encode(order_key).decode(),
                "OVERT_HEALTH_PORT": str(health_port),
                "OVERT_MILVUS_URI": f"http://{LOOPBACK}:{milvus_port}",
            }
            begun.append(Service("match", told, tmp_path / "match.log"))
            return begun[-1]

        yield begin
        for match in begun:
            match.process.stop()


def until(condition: Callable[[], object], match: Service) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert match.process.alive, match.tail()
        assert time.monotonic() < deadline_s, match.tail()
        time.sleep(0.05)


def problems(health_port: int) -> dict[str, str] | None:
    """Return what /readyz says there is; None while nobody answers."""
    try:
        answer = httpx.get(f"http://{LOOPBACK}:{health_port}/readyz", timeout=5, trust_env=False)
    except httpx.TransportError:
        return None
    told: dict[str, str] = answer.json()["problems"]
    assert (answer.status_code == httpx.codes.OK) == (not told)
    return told


def test_match_waits_for_a_milvus_that_begins_later_and_readyz_says_why(
    begin: Begin, tmp_path: Path, health_port: int
) -> None:
    (milvus_port,) = lasting_ports(1)
    match = begin(milvus_port)
    until(lambda: match.said("waiting for Milvus", service="match"), match)
    assert "the gallery does not answer" in (problems(health_port) or {})["gallery"]
    assert match.said("started") is None
    with MilvusServer.start(tmp_path / "milvus", port=milvus_port):
        until(lambda: problems(health_port) == {}, match)
        assert match.said("started") is not None
        code, _ = match.terminate()
    assert code == 0, match.tail()


def test_sigterm_ends_a_match_that_waits_for_milvus(begin: Begin) -> None:
    match = begin(lasting_ports(1)[0])
    until(lambda: match.said("waiting for Milvus"), match)
    code, _ = match.terminate()
    assert code == 0, match.tail()
    assert "Traceback" not in "".join(match.lines)


def test_sigterm_ends_a_match_whose_milvus_takes_the_call_and_says_nothing(begin: Begin) -> None:
    with socket.create_server((LOOPBACK, 0)) as mute:
        match = begin(mute.getsockname()[1])
        mute.settimeout(PATIENCE_S)
        caller, _ = mute.accept()
        with caller:
            code, _ = match.terminate()
    assert code == 0, match.tail()
    assert "Traceback" not in "".join(match.lines)
