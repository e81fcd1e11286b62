"""Settings of control as a process of its own, read from `OVERT_…` variables."""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from overt.control.service import ControlOptions
from overt.recognition.onnx_session import Device
from overt.runtime.settings import KafkaSettings, Port


def _json_object(value: object) -> object:
    """Decode here: the library's own decoding fails outside of what becomes one clear line."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be a JSON object of names and tokens") from None


def _paths(value: object) -> object:
    """Split as PATH is split."""
    return tuple(value.split(os.pathsep)) if isinstance(value, str) and value else value


class ControlSettings(KafkaSettings):
    """What control must be told. It gives out keys, so it has no key source and no service token."""

    data_dir: Path = Field(description="Folder for the database and, unless given as settings, two keys.")
    database_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of the database; SQLite in the data folder if not set."
    )
    kek: SecretStr | None = Field(
        default=None,
        description="Key-encryption key, 32 bytes in base64; a file in the data folder if not set.",
    )
    order_signing_key: SecretStr | None = Field(
        default=None,
        description="Ed25519 private key of orders, 32 bytes in base64; a file in the data folder if not set.",
    )
    milvus_uri: str = Field(
        min_length=1, description="Milvus: a server's address, or a file for Milvus Lite."
    )
    milvus_token: SecretStr | None = Field(default=None, description="Milvus token, if the server wants one.")
    milvus_patience_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="How long to wait for Milvus at the start before giving up, in seconds.",
    )
    models_dir: Path = Field(description="Where `overt models fetch` has put the model files.")
    pack: str = Field(
        default="cpu",
        min_length=1,
        description="Model pack that enrols, or the path of a .toml that describes one; all services use the same.",
    )
    device: Device = Field(
        default="cpu", description="What the networks run on; one that is not there ends the service."
    )
    evidence_files: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)] = Field(
        default=(),
        description="Signed evidence records, with colons between; without any the pack's own points count.",
    )
    evidence_key_file: Path | None = Field(
        default=None, description="PEM file of the public key that evidence records are trusted by."
    )
    threads: int = Field(default=1, ge=1, le=64, description="Threads for recognition while enrolling.")
    control_host: str = Field(default="127.0.0.1", min_length=1, description="Address of the API.")
    control_port: Port = Field(default=8070, description="Port of the API; 0 takes any free one.")
    control_officer_token: SecretStr = Field(min_length=16, description="The officer's bearer token.")
    control_service_tokens: Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_json_object)] = Field(
        description="The services' bearer tokens: a JSON object, name to token."
    )
    key_epoch_s: float = Field(
        default=300.0, ge=5, le=300, description="How long frames, faces and templates share one key."
    )
    key_linger_s: float = Field(
        default=60.0,
        ge=5,
        le=60,
        description="How long after its epoch a key is kept for what is still on its way; then it is destroyed.",
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
    health_port: Port = Field(
        default=0, description="Port of /healthz, /readyz and /metrics; 0: any free one."
    )

    def options(self) -> ControlOptions:
        """What build() is told."""
        url = None if self.database_url is None else self.database_url.get_secret_value()
        return ControlOptions(
            data_dir=self.data_dir,
            database_url=url,
            kek=self.kek,
            order_signing_key=self.order_signing_key,
            epoch_s=self.key_epoch_s,
            linger_s=self.key_linger_s,
        )
