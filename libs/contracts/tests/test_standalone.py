"""A service as a process of its own: how it begins, and how it says that it can't."""

import base64
import logging
import resource
import signal
import threading
from collections.abc import Iterator, Mapping

import httpx
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from overt.contracts import standalone
from overt.contracts.access import access_of
from overt.contracts.context import Context
from overt.contracts.standalone import connect, main
from overt.runtime import kafka_admin, process
from overt.runtime.broker import AccessRefused, BrokerError, LoginRefused
from overt.runtime.envelope import DataKey
from overt.runtime.health import Health, HealthServer
from overt.runtime.kafka_access import require_access
from overt.runtime.kafka_acls import Acl
from overt.runtime.keys import KeyGone
from overt.runtime.keys_http import KeysRefused, KeysUnavailable, RemoteKeys
from overt.runtime.process import CannotBegin, Runner
from overt.runtime.settings import ServiceSettings, load

ORDER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "OVERT_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "OVERT_CONTROL_URL": "http://127.0.0.1:1",
        "OVERT_SERVICE_TOKEN": "a-token-of-this-service",
        "OVERT_ORDER_PUBLIC_KEY": base64.b64encode(ORDER_KEY.public_bytes_raw()).decode(),
        "OVERT_HEALTH_PORT": "0",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def control(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Control, that knows the service and has no key; returns what it was asked for."""
    asked: list[str] = []

    def by_id(_: RemoteKeys, key_id: str) -> DataKey:
        asked.append(key_id)
        raise KeyGone("no such key")

    monkeypatch.setattr(RemoteKeys, "by_id", by_id)
    return asked


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> list[Acl]:
    """Kafka, that lets the service do everything; returns what it was asked for."""
    asked: list[Acl] = []
    monkeypatch.setattr(standalone, "require_access", lambda _, __, wanted: asked.extend(wanted))
    return asked


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def builds(runner: Runner) -> Mapping[str, Runner]:
    return {"loop": runner}


def error_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return [line for line in err.splitlines() if "error" in line or "wrong" in line]


def test_the_context_is_what_the_settings_say() -> None:
    context = connect(load(ServiceSettings), "detect")
    assert context.order_key.public_bytes_raw() == ORDER_KEY.public_bytes_raw()
    context.loops.for_service("detect").count("faces.v1", "produced")
    labels = {"service": "detect", "topic": "faces.v1", "outcome": "produced"}
    assert context.registry.get_sample_value("overt_loop_records_total", labels) == 1


def test_a_service_runs_until_its_runners_end(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str] = []

    def build(context: Context, settings: ServiceSettings) -> Mapping[str, Runner]:
        return builds(lambda _: ran.append(settings.kafka_bootstrap))

    assert main("detect", ServiceSettings, build) == process.OK
    assert ran == ["127.0.0.1:1"]
    assert error_lines(capsys) == []


def test_it_is_ready_once_it_is_built_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    with_port = HealthServer(Health(), CollectorRegistry(), "127.0.0.1", 0)
    port = with_port.port
    with_port.stop()
    monkeypatch.setenv("OVERT_HEALTH_PORT", str(port))
    answers: list[int] = []

    def ask() -> None:
        answers.append(httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code)

    def build(context: Context, settings: ServiceSettings) -> Mapping[str, Runner]:
        ask()
        return builds(lambda _: ask())

    assert main("detect", ServiceSettings, build) == process.OK
    assert answers == [503, 200]


def test_wrong_settings_are_one_line_and_nothing_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OVERT_CONTROL_URL")

    def build(context: Context, settings: ServiceSettings) -> Mapping[str, Runner]:
        raise AssertionError("must not be built")

    assert main("detect", ServiceSettings, build) == process.MISUSED
    assert capsys.readouterr().err == "overt detect: settings are wrong: OVERT_CONTROL_URL: is not set\n"


def test_a_busy_port_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    busy = HealthServer(Health(), CollectorRegistry(), "127.0.0.1", 0)
    monkeypatch.setenv("OVERT_HEALTH_PORT", str(busy.port))
    assert main("detect", ServiceSettings, lambda *_: builds(lambda _: None)) == process.MISUSED
    busy.stop()
    (line,) = error_lines(capsys)
    assert f"cannot listen on 127.0.0.1:{busy.port}" in line


def must_not_be_built(*_: object) -> Mapping[str, Runner]:
    raise AssertionError("must not be built")


def test_kafka_out_of_reach_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_admin.topics_of, "__defaults__", (0.1,))
    monkeypatch.setattr(standalone, "require_access", require_access)
    assert main("detect", ServiceSettings, must_not_be_built) == process.MISUSED
    (line,) = error_lines(capsys)
    assert "cannot reach Kafka at 127.0.0.1:1" in line


@pytest.mark.parametrize("error", [AccessRefused("may not write"), LoginRefused("refused the login")])
def test_a_login_that_is_refused_or_may_too_little_is_one_line_and_nothing_is_built(
    error: BrokerError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(standalone, "require_access", refuse)
    assert main("detect", ServiceSettings, must_not_be_built) == process.MISUSED
    (line,) = error_lines(capsys)
    assert str(error) in line


@pytest.mark.parametrize(("service", "user"), [("detect", None), ("alerts-api", "alerts")])
def test_kafka_is_asked_for_all_that_the_table_gives_the_service(
    service: str, user: str | None, kafka: list[Acl]
) -> None:
    assert main(service, ServiceSettings, lambda *_: builds(lambda _: None), user=user) == process.OK
    assert kafka == access_of(user or service)


def test_control_is_asked_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], control: list[str]
) -> None:
    def build(context: Context, settings: ServiceSettings) -> Mapping[str, Runner]:
        assert control
        raise CannotBegin("asked")

    assert main("detect", ServiceSettings, build) == process.MISUSED
    assert "asked" in error_lines(capsys)[0]

    def refuse(*_: object) -> DataKey:
        raise KeysRefused("control answered 401")

    monkeypatch.setattr(RemoteKeys, "by_id", refuse)
    assert main("detect", ServiceSettings, build) == process.MISUSED
    (line,) = error_lines(capsys)
    assert "control answered 401" in line


def test_a_service_that_starts_before_control_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(standalone, "ASK_EVERY_S", 0)
    monkeypatch.setattr(standalone, "SAY_EVERY_S", 0)
    asked: list[str] = []

    def by_id(_: RemoteKeys, key_id: str) -> DataKey:
        asked.append(key_id)
        if len(asked) < 3:
            raise KeysUnavailable("cannot reach control")
        raise KeyGone("no such key")

    monkeypatch.setattr(RemoteKeys, "by_id", by_id)
    assert main("detect", ServiceSettings, lambda *_: builds(lambda _: None)) == process.OK
    assert capsys.readouterr().err.count("waiting for control") == 2


def test_a_control_that_stays_away_is_one_line_after_the_patience(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVERT_CONTROL_PATIENCE_S", "0")

    def away(*_: object) -> DataKey:
        raise KeysUnavailable("cannot reach control")

    monkeypatch.setattr(RemoteKeys, "by_id", away)
    assert main("detect", ServiceSettings, lambda *_: builds(lambda _: None)) == process.MISUSED
    (line,) = error_lines(capsys)
    assert "cannot reach control" in line


@pytest.mark.parametrize("error", [CannotBegin("no model pack"), KeysUnavailable("cannot reach control")])
def test_what_a_build_needs_and_lacks_is_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(context: Context, settings: ServiceSettings) -> Mapping[str, Runner]:
        raise error

    assert main("detect", ServiceSettings, build) == process.MISUSED
    (line,) = error_lines(capsys)
    assert str(error) in line


def test_a_failing_runner_is_one_line_and_another_code(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: threading.Event) -> None:
        raise CannotBegin("too late for that")

    assert main("detect", ServiceSettings, lambda *_: builds(fail)) == process.FAILED
    (line,) = error_lines(capsys)
    assert "too late for that" in line


def test_sigterm_while_building_ends_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def build(context: Context, settings: ServiceSettings) -> Mapping[str, Runner]:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("must not get here")

    assert main("detect", ServiceSettings, build) == process.OK
    assert error_lines(capsys) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_interruption_while_building_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def build(context: Context, settings: ServiceSettings) -> Mapping[str, Runner]:
        raise KeyboardInterrupt

    assert main("detect", ServiceSettings, build) == process.INTERRUPTED
    assert error_lines(capsys) == []


def test_a_service_leaves_no_core() -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    seen: list[int] = []
    try:
        main("detect", ServiceSettings, lambda *_: builds(lambda _: seen.append(core_limit())))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert seen in ([0], [1])


def core_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_CORE)[0]
