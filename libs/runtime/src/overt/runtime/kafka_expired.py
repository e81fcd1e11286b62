"""Counts what retention took from a topic before a member came to it: a gap in the offsets shows it."""

from collections import Counter
from collections.abc import Mapping, Sequence

import structlog
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException, TopicPartition

from overt.runtime.broker import Record

log = structlog.get_logger()

Place = tuple[str, int]
ASK_TIMEOUT_S = 5.0


class Expired:
    """What one member missed.

    Kafka's client goes on at the oldest record that is left and says nothing of it. The topics have no other
    gaps: they are not compacted, and nobody writes to them in transactions.
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._next: dict[Place, int] = {}
        self._missed: Counter[str] = Counter()

    def ask(self, client: Client) -> None:
        """From now on `client` says what its group has committed."""
        self._client = client
        self._next = {}

    def note(self, records: Sequence[Record]) -> None:
        """Look for gaps before and between `records`, which come next on their partitions."""
        self._next.update(self._committed({place_of(record) for record in records} - self._next.keys()))
        for record in records:
            missed = record.offset - self._next.get(place_of(record), record.offset)
            self._next[place_of(record)] = record.offset + 1
            if missed > 0:
                self._missed[record.topic] += missed
                log.warning(
                    "records aged out before they were read",
                    topic=record.topic,
                    partition=record.partition,
                    records=missed,
                )

    def forget(self, place: Place) -> None:
        """The partition went to another member: if it comes back, what is committed then counts."""
        self._next.pop(place, None)

    def take(self) -> Mapping[str, int]:
        """Return by topic how many were missed since the last call."""
        missed, self._missed = self._missed, Counter()
        return missed

    def _committed(self, places: set[Place]) -> dict[Place, int]:
        """Return where the group stands, as far as it has committed anything and says so."""
        if not places or self._client is None:
            return {}
        try:
            answers = self._client.committed([TopicPartition(*place) for place in places], ASK_TIMEOUT_S)
        except KafkaException:
            return {}
        # Negative: nothing was committed yet, so the oldest record there is comes first by rights.
        return {(at.topic, at.partition): at.offset for at in answers if at.error is None and at.offset >= 0}


def place_of(record: Record) -> Place:
    """Return the topic and the number of the partition."""
    return record.topic, record.partition
