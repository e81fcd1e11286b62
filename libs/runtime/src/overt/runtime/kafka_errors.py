"""What a Kafka client reports in callbacks: said in the log without flooding it, raised when it is the end."""

import time
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError

from overt.runtime.broker import BrokerError

log = structlog.get_logger()

# The broker, or the group's coordinator, does not answer now; the client goes on looking for it.
AWAY = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - librdkafka's own codes begin with an underscore
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
    }
)

# A broker that is away is reported several times a second by every client of the process.
QUIET_S = 10.0


class ClientErrors:
    """The errors of one client. `report` is its `error_cb`."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._fatal: str | None = None
        self._said_s: dict[int, float] = {}
        self._unsaid: dict[int, int] = {}

    def report(self, error: KafkaError) -> None:
        """Log `error`, at most once in QUIET_S for each kind; remember one that the client can't get over."""
        if error.fatal():
            self._fatal = f"{error.name()}: {error.str()}"
        code, now_s = error.code(), self._monotonic_s()
        if now_s - self._said_s.get(code, -QUIET_S) < QUIET_S:
            self._unsaid[code] = self._unsaid.get(code, 0) + 1
            return
        self._said_s[code] = now_s
        log.warning(
            "kafka reports a problem",
            error=error.name(),
            reason=error.str(),
            not_shown=self._unsaid.pop(code, 0),
        )

    def check(self) -> None:
        """Raise BrokerError if there was an error that the client can't get over."""
        if self._fatal is not None:
            raise BrokerError(f"Kafka's client gave up: {self._fatal}")
