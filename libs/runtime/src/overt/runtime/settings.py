"""Settings that every service has, read from `OVERT_…` variables, and one clear line when they are wrong."""

import base64
import binascii
import re
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from overt.runtime.kafka_security import KafkaLogin

PREFIX = "OVERT_"
ED25519_PUBLIC_BYTES = 32


class SettingsError(ValueError):
    """Settings are missing or wrong. The text names the variables and never shows a value."""


def _require_http(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no http or https address")
    if parts.username or parts.password:
        raise ValueError("must not carry a user name or a password")
    return text.rstrip("/")


def _require_brokers(text: str) -> str:
    if not re.fullmatch(r"[^\s,]+:\d{1,5}(,[^\s,]+:\d{1,5})*", text):
        raise ValueError("must be host:port, several with commas between them")
    return text


def _require_key(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if len(raw) != ED25519_PUBLIC_BYTES:
        raise ValueError(f"must be {ED25519_PUBLIC_BYTES} bytes in base64, is {len(raw)}")
    return text


Brokers = Annotated[str, AfterValidator(_require_brokers)]
HttpAddress = Annotated[str, AfterValidator(_require_http)]
PublicKey = Annotated[str, AfterValidator(_require_key)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class KafkaSettings(BaseSettings):
    """Where Kafka is, and who logs in there."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    kafka_bootstrap: Brokers = Field(description="Kafka's addresses: host:port, several with commas between.")
    kafka_username: str | None = Field(
        default=None,
        min_length=1,
        description="User at Kafka (SASL_SSL, SCRAM-SHA-512); without one the connection is plain.",
    )
    kafka_password: SecretStr | None = Field(
        default=None, min_length=1, description="That user's password; goes with the user name."
    )
    kafka_ca_file: FilePath | None = Field(
        default=None,
        description="PEM file that signs the brokers' certificates; without it the system's authorities do.",
    )

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if (self.kafka_username is None) != (self.kafka_password is None):
            raise ValueError(f"{PREFIX}KAFKA_USERNAME and {PREFIX}KAFKA_PASSWORD go together")
        if self.kafka_ca_file is not None and self.kafka_username is None:
            raise ValueError(f"{PREFIX}KAFKA_CA_FILE needs {PREFIX}KAFKA_USERNAME")
        return self

    @property
    def kafka_login(self) -> KafkaLogin | None:
        """The login that these settings say; None: a plain connection."""
        if self.kafka_username is None or self.kafka_password is None:
            return None
        return KafkaLogin(self.kafka_username, self.kafka_password, self.kafka_ca_file)


class ServiceSettings(KafkaSettings):
    """What a service that runs as a process of its own must be told.

    A service subclasses this, adds its own fields and may give `health_port` a default.
    """

    kafka_instance_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Name of this instance, the same after a restart and of no other: it then gets back its "
        "partitions without a rebalance. Without one each start is a new member.",
    )
    control_url: HttpAddress = Field(description="Where control answers: an http or https address.")
    service_token: SecretStr = Field(
        min_length=16, description="This service's bearer token at control; at least 16 characters."
    )
    control_patience_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="How long to wait for control at the start before giving up, in seconds.",
    )
    order_public_key: PublicKey = Field(
        description="Control's Ed25519 public key, 32 bytes in base64: orders signed by another are refused."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe log line that is written."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Log lines for people, or one JSON object a line."
    )
    health_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address on which /healthz, /readyz and /metrics answer.",
    )
    health_port: Port = Field(description="Port of /healthz, /readyz and /metrics; 0 takes any free one.")


S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S]) -> S:
    """Read `settings` from the environment. Raises SettingsError: one line that names what is wrong."""
    try:
        return settings()
    except ValidationError as error:
        # pydantic's own text repeats the input, which may be a secret.
        wrong = "; ".join(_problem(settings, e["loc"], e["msg"]) for e in error.errors())
        raise SettingsError(f"settings are wrong: {wrong}") from None


def _problem(settings: type[BaseSettings], location: tuple[int | str, ...], message: str) -> str:
    reason = _reason(message)
    # What is wrong with several variables together has no location and names them itself.
    return f"{_variable(settings, location)}: {reason}" if location else reason


def _variable(settings: type[BaseSettings], location: tuple[int | str, ...]) -> str:
    prefix = settings.model_config.get("env_prefix", "")
    return (prefix + "__".join(str(part) for part in location)).upper()


def _reason(message: str) -> str:
    text = message.removeprefix("Value error, ")
    if text == "Field required":
        return "is not set"
    return text if text.startswith(PREFIX) else text[:1].lower() + text[1:]
