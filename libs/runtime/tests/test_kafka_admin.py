"""What is said of a cluster that can't be asked, without a cluster: away is one thing, refused another."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

from overt.runtime.broker import BrokerError, LoginRefused
from overt.runtime.kafka_admin import ClusterAdmin, topics_of
from overt.runtime.kafka_security import KafkaLogin

NOWHERE = "127.0.0.1:1"
LOGIN = KafkaLogin("match", SecretStr("not-the-password"))


class Answerless(ClusterAdmin):
    """Reports `reports` when it is asked, and never has an answer; notes how long it was to wait."""

    def __init__(self, *reports: KafkaError) -> None:
        super().__init__(NOWHERE, LOGIN)
        self.reports = reports
        self.asked_s: list[float] = []

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        self.asked_s.append(timeout)
        for report in self.reports:
            self._heard(report)
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def test_a_refused_login_is_said_at_once_with_the_user_and_without_the_password() -> None:
    admin = Answerless(
        KafkaError(KafkaError._AUTHENTICATION, "invalid credentials"),
        KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"),
    )
    with admin, pytest.raises(LoginRefused) as raised:
        topics_of(admin, NOWHERE, 15)
    assert str(raised.value) == f"Kafka at {NOWHERE} refused the login of user match (invalid credentials)"
    assert admin.asked_s == [1]


def test_a_cluster_that_is_away_is_asked_again_until_the_time_is_over() -> None:
    admin = Answerless(KafkaError(KafkaError._SSL, "certificate verify failed"))
    with admin, pytest.raises(BrokerError) as raised:
        topics_of(admin, NOWHERE, 15)
    assert str(raised.value) == (
        f"cannot reach Kafka at {NOWHERE} within 15 s (_SSL: certificate verify failed)"
    )
    assert not isinstance(raised.value, LoginRefused)
    assert admin.asked_s == [1, 2, 4, 8]
