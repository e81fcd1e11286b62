"""Settings that every service has, read from `OVERT_…` variables, and one clear line when they are wrong."""

import base64
import binascii
import re
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

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


class ServiceSettings(BaseSettings):
    """What a service that runs as a process of its own must be told.

    A service subclasses this, adds its own fields and may give `health_port` a default.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    kafka_bootstrap: Brokers = Field(description="Kafka's addresses: host:port, several with commas between.")
    control_url: HttpAddress = Field(description="Where control answers: an http or https address.")
    service_token: SecretStr = Field(
        min_length=16, description="This service's bearer token at control; at least 16 characters."
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
        wrong = "; ".join(f"{_variable(settings, e['loc'])}: {_reason(e['msg'])}" for e in error.errors())
        raise SettingsError(f"settings are wrong: {wrong}") from None


def _variable(settings: type[BaseSettings], location: tuple[int | str, ...]) -> str:
    prefix = settings.model_config.get("env_prefix", "")
    return (prefix + "__".join(str(part) for part in location)).upper()


def _reason(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return "is not set" if text == "Field required" else text[:1].lower() + text[1:]
