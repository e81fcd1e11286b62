"""The alerts stream alone over a real Kafka, for tests: its processes, a stand-in for control, and its matches."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overt.alerts.store import Store
from overt.alerts.tables import AlertRow
from overt.contracts.codec import decode
from overt.contracts.events import AnyAlertEvent
from overt.contracts.messages import Box, Candidate, MatchMade, Shot
from overt.contracts.orders import Order, sign
from overt.contracts.topic_specs import topic_specs
from overt.contracts.topics import ALERTS, DEPLOYMENTS, MATCHES, Topic
from overt.contracts.wire import Out, TopicWire
from overt.runtime.broker import Record
from overt.runtime.clock import SystemClock
from overt.runtime.envelope import DataKey
from overt.runtime.kafka import KafkaBroker, create_topics
from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.keys import KeyRing

from .deployed import PAGES, Service

PATIENCE_S = 150.0
DEPLOYMENT = "dep-1"
FINGERPRINT = "ab" * 32
JPEG = b"\xff\xd8\xff" + bytes(400) + b"\xff\xd9"


@dataclass
class StandInControl:
    """Hands out one lasting key, as control would, and has no reference cards."""

    key: DataKey

    def __enter__(self) -> Self:
        key = self.key

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                known = asked.get("key_id") == key.key_id or asked.get("scope") == key.scope
                body = {
                    "key_id": key.key_id,
                    "scope": key.scope,
                    "secret": base64.b64encode(key.secret).decode(),
                    "not_after_s": None,
                }
                found = parts.path.startswith("/v1/keys/") and known
                self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode() if found else b"{}")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


@dataclass
class AlertsStream:
    """The service's processes over one database and one broker.

    `told` is what each is told beside the usual; `operator` is the tests' own login, None for a plain broker.
    """

    folder: Path
    bootstrap: str
    database_url: str
    told: Mapping[str, str] = field(default_factory=dict)
    operator: KafkaLogin | None = None

    def __enter__(self) -> Self:
        create_topics(self.bootstrap, topic_specs(), login=self.operator)
        self.started_s = time.time()
        key = DataKey(f"{DEPLOYMENT}/lasting/1", DEPLOYMENT, b"k" * 32, None)
        self.control = StandInControl(key).__enter__()
        self._keys = KeyRing(SystemClock())
        self._keys.open(DEPLOYMENT, key)
        self._store = Store(self.database_url)
        self._order_key = Ed25519PrivateKey.generate()
        self._producer = KafkaBroker(self.bootstrap, client_id="test", login=self.operator).producer()
        self._wire: TopicWire[MatchMade] = TopicWire(MATCHES, self._keys)
        self.services: dict[str, Service] = {}
        self._order()
        return self

    def tails(self) -> str:
        """The end of every log."""
        return "\n".join(worker.tail() for worker in self.services.values())

    def __exit__(self, *_: object) -> None:
        for worker in self.services.values():
            worker.process.stop()
        self._producer.close()
        self.control.__exit__()
        self._store.close()

    def begin(self, name: str) -> Service:
        """Start one process: the pages under the name that they have, a worker of the stream under any other."""
        raw = self._order_key.public_key().public_bytes_raw()
        usual = {
            "OVERT_KAFKA_BOOTSTRAP": self.bootstrap,
            "OVERT_CONTROL_URL": self.control.url,
            "OVERT_SERVICE_TOKEN": "a-token-of-sixteen-or-more",
            "OVERT_ORDER_PUBLIC_KEY": base64.b64encode(raw).decode(),
            "OVERT_ALERTS_DATABASE_URL": self.database_url,
        }
        if name == PAGES:
            usual["OVERT_ALERTS_PORT"] = "0"
        else:
            usual["OVERT_ALERTS_WINDOW_S"] = "3600"
        told = {**usual, **self.told}
        module = name if name == PAGES else "alerts"
        self.services[name] = Service(module, told, self.folder / f"{name}.log")
        return self.services[name]

    def match(self, number: int, entry: int = 1) -> MatchMade:
        """Return the `number`th match of an entry."""
        now_ns = int(self.started_s * 1e9) + number
        shot = Shot(
            camera_id="gate",
            track_id=f"t{number}",
            number=1,
            captured_at_ns=now_ns,
            read_at_ns=now_ns,
            box=Box(1, 1, 9, 9),
            landmarks_px=(1.0,) * 10,
            quality=80,
            crop_side_px=112,
            crop_rgb=bytes(112 * 112 * 3),
            portrait_jpeg=JPEG,
            context_jpeg=JPEG,
        )
        probe = hashlib.sha256(f"{entry} {number}".encode()).hexdigest()
        candidates = (Candidate(f"entry-{entry}", 0.6),)
        return MatchMade(DEPLOYMENT, "list-1", FINGERPRINT, 0.4, candidates, probe, shot)

    def send(self, *matches: MatchMade) -> None:
        """Produce matches and wait for their confirmation."""
        for match in matches:
            self._produce(Out(MATCHES, f"{DEPLOYMENT}/{match.candidates[0].entry_id}", match))
        self._producer.flush(PATIENCE_S)

    def send_raw(self, value: bytes, key: str = "poison") -> None:
        """Produce what is no match."""
        self._producer.produce(MATCHES.name, key.encode(), value)
        self._producer.flush(PATIENCE_S)

    def counts(self) -> dict[str, int]:
        """Return how many matches each entry's alerts count; fails when an entry has two alerts."""
        with self._store.read() as session:
            rows = [(row.entry_id, row.matches) for row in session.query(AlertRow)]
        assert len(rows) == len(dict(rows)), "two alerts for one pass"
        return dict(rows)

    def alert_ids(self) -> list[str]:
        """Return the id of every alert."""
        with self._store.read() as session:
            return [row.alert_id for row in session.query(AlertRow)]

    def events(self) -> list[AnyAlertEvent]:
        """Return everything on alerts.v1."""
        return [decode(ALERTS, record.value or b"") for record in self.records(ALERTS.name, ALERTS)]  # type: ignore[misc]

    def records(self, name: str, topic: Topic) -> list[Record]:
        """Return everything on a topic with as many partitions as `topic`."""
        reader = KafkaBroker(self.bootstrap, client_id="test", login=self.operator).table(name)
        found: list[Record] = []
        while not reader.caught_up():
            found += reader.poll()
        found += reader.poll()
        reader.close()
        return found

    def uncommitted(self) -> int:
        """Return how many matches the group has not committed."""
        login = {} if self.operator is None else self.operator.client_config()
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "alerts", **login})
        places = [TopicPartition(MATCHES.name, number) for number in range(MATCHES.partitions)]
        committed = {at.partition: max(at.offset, 0) for at in consumer.committed(places, timeout=10)}
        ends = {at.partition: consumer.get_watermark_offsets(at, timeout=10)[1] for at in places}
        consumer.close()
        return sum(ends[number] - committed[number] for number in ends)

    def let_all_expire(self) -> None:
        """Do as retention does with every match there is."""
        with AdminClient({"bootstrap.servers": self.bootstrap}) as admin:
            places = [
                TopicPartition(MATCHES.name, number, OFFSET_END) for number in range(MATCHES.partitions)
            ]
            for place in admin.delete_records(places).values():
                place.result(PATIENCE_S)

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Return once `condition()` is true."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, (
                f"{timeout_s:.0f} s were not enough until {what}\n{self.tails()}"
            )
            time.sleep(0.02)

    def _order(self) -> None:
        order = Order(
            deployment_id=DEPLOYMENT,
            revision=1,
            state="active",
            purpose="protective_event",
            place="Market Square",
            starts_at_s=self.started_s - 60,
            ends_at_s=self.started_s + 3600,
            camera_ids=("gate",),
            watchlist_id="list-1",
            watchlist_size=12,
            fingerprint=FINGERPRINT,
            threshold=0.4,
            issued_at_s=self.started_s - 120,
        )
        self._produce(Out(DEPLOYMENTS, DEPLOYMENT, sign(order, self._order_key)))
        self._producer.flush(PATIENCE_S)

    def _produce(self, out: Out) -> None:
        addressed = self._wire.seal(out)
        self._producer.produce(addressed.topic, addressed.key, addressed.value)
