"""How a client proves to Kafka who it is, and makes sure of who answers: SASL_SSL with SCRAM-SHA-512."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class KafkaLogin:
    """A user of the cluster. `ca_file` (PEM) signs the brokers' certificates; None: the system's authorities."""

    username: str
    password: SecretStr
    ca_file: Path | None = None

    def client_config(self) -> dict[str, str]:
        """Return librdkafka's settings; they hold the password, so they are shown nowhere."""
        config = {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.username,
            "sasl.password": self.password.get_secret_value(),
            # librdkafka's default today; who logs in must not depend on a default for whom it logs in at.
            "ssl.endpoint.identification.algorithm": "https",
        }
        return config if self.ca_file is None else {**config, "ssl.ca.location": str(self.ca_file)}
