"""Settings: read from the environment, refused in one line that shows no value."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.settings import ServiceSettings, SettingsError, load

SECRET = "a-secret-of-this-service"
GOOD = {
    "OVERT_KAFKA_BOOTSTRAP": "kafka-1:9092,kafka-2:9092",
    "OVERT_CONTROL_URL": "https://control:8443/",
    "OVERT_SERVICE_TOKEN": SECRET,
    "OVERT_ORDER_PUBLIC_KEY": base64.b64encode(bytes(32)).decode(),
    "OVERT_HEALTH_PORT": "8081",
}


class ExampleSettings(ServiceSettings):
    health_port: int = Field(default=8099, description="As in the base.")
    rate_hz: float = Field(default=5.0, gt=0, le=60, description="How often.")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_settings_are_read_from_the_environment() -> None:
    settings = load(ServiceSettings)
    assert settings.kafka_bootstrap == "kafka-1:9092,kafka-2:9092"
    assert settings.control_url == "https://control:8443"
    assert settings.service_token.get_secret_value() == SECRET
    assert (settings.health_host, settings.health_port) == ("127.0.0.1", 8081)
    assert (settings.log_level, settings.log_format) == ("INFO", "console")


def test_a_service_adds_its_own_and_may_give_the_port_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OVERT_HEALTH_PORT")
    monkeypatch.setenv("OVERT_RATE_HZ", "12.5")
    settings = load(ExampleSettings)
    assert (settings.health_port, settings.rate_hz) == (8099, 12.5)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=rf"^settings are wrong: {name}: is not set$"):
        load(ServiceSettings)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("OVERT_KAFKA_BOOTSTRAP", "kafka", "must be host:port"),
        ("OVERT_KAFKA_BOOTSTRAP", "kafka:9092, kafka:9093", "must be host:port"),
        ("OVERT_CONTROL_URL", "control:8443", "no http or https address"),
        ("OVERT_CONTROL_URL", "https://me:pass@control", "must not carry a user name"),
        ("OVERT_SERVICE_TOKEN", "short", "16"),
        ("OVERT_ORDER_PUBLIC_KEY", "%%%", "not base64"),
        ("OVERT_ORDER_PUBLIC_KEY", "AAAA", "must be 32 bytes in base64, is 3"),
        ("OVERT_LOG_LEVEL", "LOUD", "DEBUG"),
        ("OVERT_LOG_FORMAT", "xml", "console"),
        ("OVERT_HEALTH_PORT", "70000", "65535"),
        ("OVERT_HEALTH_PORT", "door", "integer"),
        ("OVERT_RATE_HZ", "0", "greater than 0"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_not_shown(
    name: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(ExampleSettings if name == "OVERT_RATE_HZ" else ServiceSettings)
    line = str(caught.value)
    assert line.startswith(f"settings are wrong: {name}: ")
    assert reason in line
    assert "\n" not in line
    assert value not in line or value in ("0", "short")


def test_without_a_user_the_connection_to_kafka_is_plain() -> None:
    assert load(ServiceSettings).kafka_login is None


def test_a_user_a_password_and_an_authority_make_a_login(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    monkeypatch.setenv("OVERT_KAFKA_USERNAME", "detect")
    monkeypatch.setenv("OVERT_KAFKA_PASSWORD", SECRET)
    monkeypatch.setenv("OVERT_KAFKA_CA_FILE", str(authority))
    settings = load(ServiceSettings)
    assert settings.kafka_login == KafkaLogin("detect", SecretStr(SECRET), authority)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"USERNAME": "detect"}, "OVERT_KAFKA_USERNAME and OVERT_KAFKA_PASSWORD go together"),
        ({"PASSWORD": SECRET}, "OVERT_KAFKA_USERNAME and OVERT_KAFKA_PASSWORD go together"),
        ({"CA_FILE": __file__}, "OVERT_KAFKA_CA_FILE needs OVERT_KAFKA_USERNAME"),
        ({"CA_FILE": "nowhere.pem"}, "OVERT_KAFKA_CA_FILE: path does not point to a file"),
    ],
    ids=["no password", "no user", "an authority alone", "no such file"],
)
def test_half_a_login_is_refused(
    given: Mapping[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"OVERT_KAFKA_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load(ServiceSettings)
    assert str(caught.value) == f"settings are wrong: {line}"


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OVERT_CONTROL_URL")
    monkeypatch.setenv("OVERT_HEALTH_PORT", "-1")
    with pytest.raises(SettingsError, match=r"OVERT_CONTROL_URL.*OVERT_HEALTH_PORT"):
        load(ServiceSettings)


def test_settings_do_not_show_their_secrets_and_cannot_be_changed() -> None:
    settings = load(ServiceSettings)
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()
    with pytest.raises(ValidationError):
        settings.log_level = "DEBUG"


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in ServiceSettings.model_fields.values())
