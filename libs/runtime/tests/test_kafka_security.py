"""A login at Kafka: what librdkafka is told, and that the password is shown nowhere."""

from pathlib import Path

from confluent_kafka import Consumer
from pydantic import SecretStr

from overt.runtime.kafka import KafkaBroker
from overt.runtime.kafka_security import KafkaLogin

PASSWORD = "a-password-of-detect"


def test_a_login_is_scram_over_tls_with_the_host_name_checked() -> None:
    login = KafkaLogin("detect", SecretStr(PASSWORD), Path("ca.pem"))
    assert login.client_config() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "detect",
        "sasl.password": PASSWORD,
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.ca.location": "ca.pem",
    }


def test_without_a_file_the_systems_authorities_are_trusted_and_librdkafka_takes_the_rest() -> None:
    config = KafkaLogin("detect", SecretStr(PASSWORD)).client_config()
    assert "ssl.ca.location" not in config
    Consumer({**config, "group.id": "detect"}).close()


def test_the_password_is_not_shown() -> None:
    login = KafkaLogin("detect", SecretStr(PASSWORD))
    assert PASSWORD not in repr(login)
    assert PASSWORD not in repr(KafkaBroker("kafka:9092", client_id="test", login=login))
