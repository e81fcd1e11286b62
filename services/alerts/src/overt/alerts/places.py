"""Knows which match of each partition comes next, so that one that Faust skipped is noticed and fetched again.

In a rebalance Faust drops records that it has fetched, goes on behind them, and takes what it dropped for a
gap in the topic: it would commit past matches that nobody saw. matches.v1 has no gaps.
"""

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from overt.alerts.stream_app import GROUP, Cluster
from overt.contracts.topics import MATCHES
from overt.runtime.broker import BrokerAway
from overt.runtime.clock import Clock

ASK_TIMEOUT_S = 10.0
# What Faust still holds of the skipped part's successors arrives first: going back once is enough for them.
BACK_AGAIN_S = 1.0


class Places:
    """The next offset of each partition. Belongs to one thread, but for `forget` and `waiting`."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        login = {} if cluster.login is None else cluster.login.client_config()
        # Joins nothing: it only asks what the group has committed.
        self._client = Consumer(
            {"bootstrap.servers": cluster.bootstrap, "group.id": GROUP, "log_level": 0, **login}
        )
        self._clock = clock
        self._next: dict[int, int] = {}
        self._went_back_s: dict[int, float] = {}

    def next_of(self, partition: int) -> int:
        """Return the offset that comes next, at first what the group has committed. Raises BrokerAway."""
        known = self._next.get(partition)
        if known is None:
            known = self._next[partition] = self._committed(partition)
        return known

    def waiting(self, ends: Mapping[int, int]) -> int:
        """Return how many matches wait on partitions that end there; 0 where the place is not known yet."""
        return sum(max(end - self._next.get(partition, end), 0) for partition, end in ends.items())

    def passed(self, partition: int, offset: int) -> None:
        """The match at `offset` has been taken."""
        self._next[partition] = max(offset + 1, self._next.get(partition, 0))

    def may_go_back(self, partition: int) -> bool:
        """Whether to go back now: not again at once."""
        now_s = self._clock.monotonic_s()
        if now_s - self._went_back_s.get(partition, -BACK_AGAIN_S) < BACK_AGAIN_S:
            return False
        self._went_back_s[partition] = now_s
        return True

    def forget(self) -> None:
        """The group has shared out its partitions anew: others may have gone on meanwhile."""
        self._next = {}

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _committed(self, partition: int) -> int:
        place = TopicPartition(MATCHES.name, partition)
        try:
            (committed,) = self._client.committed([place], timeout=ASK_TIMEOUT_S)
            first, _ = self._client.get_watermark_offsets(place, timeout=ASK_TIMEOUT_S)
        except KafkaException as error:
            raise BrokerAway(f"what was committed is not known: {error.args[0].name()}") from None
        if committed.error is not None:
            raise BrokerAway(f"what was committed is not known: {committed.error.name()}")
        # Nothing committed yet (a negative offset), or retention has taken what was: the oldest there is.
        return max(committed.offset, first)
