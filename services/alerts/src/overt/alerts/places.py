"""Knows which match of each partition comes next, so that one that Faust skipped is noticed and fetched again.

In a rebalance Faust drops records that it has fetched, goes on behind them, and takes what it dropped for a
gap in the topic: it would commit past matches that nobody saw. matches.v1 has no gaps.
"""

from collections.abc import Callable, Mapping

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from overt.alerts.stream_app import GROUP, Cluster
from overt.contracts.topics import MATCHES
from overt.runtime.broker import BrokerAway
from overt.runtime.clock import Clock

log = structlog.get_logger()

ASK_TIMEOUT_S = 10.0
# What Faust still holds of the skipped part's successors arrives first: going back once is enough for them.
BACK_AGAIN_S = 1.0


class Places:
    """The next offset of each partition. Belongs to one thread, but for `forget` and `waiting`."""

    def __init__(self, cluster: Cluster, clock: Clock, tell_expired: Callable[[int], None]) -> None:
        """`tell_expired` is told how many matches retention took before anybody came to them."""
        login = {} if cluster.login is None else cluster.login.client_config()
        # Joins nothing: it only asks what the group has committed.
        self._client = Consumer(
            {"bootstrap.servers": cluster.bootstrap, "group.id": GROUP, "log_level": 0, **login}
        )
        self._clock = clock
        self._tell_expired = tell_expired
        self._next: dict[int, int] = {}
        self._went_back_s: dict[int, float] = {}

    def next_of(self, partition: int) -> int:
        """Return the offset that comes next, at first what the group has committed. Raises BrokerAway."""
        known = self._next.get(partition)
        return self._from_beginning(partition, self._committed(partition)) if known is None else known

    def next_left(self, partition: int) -> int:
        """Return the offset that comes next of what retention has left. Raises BrokerAway."""
        return self._from_beginning(partition, self.next_of(partition))

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

    def _from_beginning(self, partition: int, offset: int) -> int:
        """Go on at `offset`, or at the oldest match there is; a negative offset stands for that one."""
        first = self._first(partition)
        if 0 <= offset < first:
            log.warning("matches aged out before they were read", partition=partition, records=first - offset)
            self._tell_expired(first - offset)
        self._next[partition] = max(offset, first)
        return self._next[partition]

    def _committed(self, partition: int) -> int:
        """Return what the group has committed, negative if nothing."""
        try:
            (committed,) = self._client.committed(
                [TopicPartition(MATCHES.name, partition)], timeout=ASK_TIMEOUT_S
            )
        except KafkaException as error:
            raise _unknown(error.args[0]) from None
        if committed.error is not None:
            raise _unknown(committed.error)
        return committed.offset

    def _first(self, partition: int) -> int:
        """Return the offset of the oldest match there is."""
        try:
            return self._client.get_watermark_offsets(
                TopicPartition(MATCHES.name, partition), timeout=ASK_TIMEOUT_S
            )[0]
        except KafkaException as error:
            raise _unknown(error.args[0]) from None


def _unknown(error: KafkaError) -> BrokerAway:
    return BrokerAway(f"what was committed is not known: {error.name()}")
