"""The loop over a real Apache Kafka."""

import pytest

from libs.runtime.tests.broker_contract import World
from libs.runtime.tests.loop_contract import LoopContract

from .servers.kafka import KafkaServer
from .test_broker_on_kafka import world_on_kafka

pytestmark = pytest.mark.integration


class TestContract(LoopContract):
    @pytest.fixture
    def world(self, kafka: KafkaServer) -> World:
        return world_on_kafka(kafka)
