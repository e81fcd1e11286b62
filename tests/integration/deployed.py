"""Overt as it is deployed, for tests: six processes on loopback over a real Kafka and Milvus, a token each."""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import uuid4

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from overt.contracts.access import OPERATOR
from overt.contracts.topic_specs import topic_specs
from overt.control.policy import SERVICES
from overt.recognition.pack import pack_info
from overt.runtime.clock import SystemClock
from overt.runtime.kafka import create_topics
from overt.runtime.kafka_security import KafkaLogin
from overt.runtime.keys_http import RemoteKeys

from .servers.kafka import KafkaServer
from .servers.milvus import MilvusServer
from .servers.process import LOOPBACK, ServerProcess, lasting_ports
from .servers.serve import login_environment
from .topics_seen import TopicsSeen

PATIENCE_S = 150.0
# From the signal to the end; Kubernetes kills after it.
GRACE_S = 30.0
TAIL_LINES = 25
WATCHLIST = "list-1"
THRESHOLD = pack_info("cpu").calibration.default_threshold
# What is run for each process; the alerts service is two of them, under one token.
MODULES: Mapping[str, Sequence[str]] = {
    **{name: (f"overt.{name}",) for name in ("control", *SERVICES)},
    "alerts": ("overt.alerts", "stream"),
    "alerts-api": ("overt.alerts", "api"),
}
PROCESSES = tuple(name for name in MODULES if name != "control")
# Where the control room's pages come from.
PAGES = "alerts-api"
# The camera that plays the demo's clip once.
CAMERA = "camera-1"
# Recordings that go round: each test that needs live video has a camera of its own, for an order each.
LOOPED = ("loop-dead-letter", "loop-stop", "loop-signal")

Report = Callable[[str], None]
"""Prints a measured time; no test depends on one."""
LoginOf = Callable[[str], KafkaLogin | None]
"""How a user logs in at Kafka; None where nobody does."""


def service_of(name: str) -> str:
    """Return whose token and login the process has: the alerts service's two share theirs."""
    return name.removesuffix("-api")


def nobody_logs_in(_user: str) -> None:
    """Stand for the logins of a plain Kafka."""


class Service:
    """One service as a process: its log, what it says of itself over HTTP, and its end."""

    def __init__(
        self, name: str, told: Mapping[str, str], log: Path, module: Sequence[str] | None = None
    ) -> None:
        self.name = name
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("OVERT_")}
        usual = {"OVERT_LOG_FORMAT": "json", "OVERT_HEALTH_PORT": "0"}
        # One log a start: what an earlier process said is not this one's.
        log.unlink(missing_ok=True)
        self.process = ServerProcess(
            [sys.executable, "-m", *(module or MODULES[name])], log=log, env={**inherited, **usual, **told}
        )
        self._client = httpx.Client(timeout=5, trust_env=False)

    @property
    def lines(self) -> Sequence[str]:
        """What it has written so far, to standard output and standard error."""
        return self.process.log.read_text(errors="replace").splitlines()

    def said(self, event: str, **fields: object) -> Mapping[str, object] | None:
        """Return the first log line with `event` and `fields`, or None while there is none."""
        wanted = {"event": event, **fields}.items()
        return next((line for line in self._logged() if wanted <= line.items()), None)

    def _logged(self) -> Iterator[dict[str, object]]:
        for line in self.lines:
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)

    @property
    def ready(self) -> bool:
        """Whether /readyz says so; what is just ending says nothing."""
        return self.readiness().startswith(str(int(httpx.codes.OK)))

    def readiness(self) -> str:
        """Return what /readyz says, code and reasons, or why it says nothing."""
        if self.said("started") is None or not self.process.alive:
            return "does not run"
        try:
            answer = self._get("/readyz")
        except httpx.TransportError as error:
            return type(error).__name__
        return f"{answer.status_code} {answer.text}"

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that carry `labels`; 0 when there are none."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self._get("/metrics").text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def _get(self, path: str) -> httpx.Response:
        started = self.said("started")
        assert started is not None, f"{self.name} has not started"
        return self._client.get(f"http://127.0.0.1:{started['health_port']}{path}")

    def await_end(self) -> int:
        """Return the exit code of a process that ends by itself. Fails when it does not."""
        deadline_s = time.monotonic() + PATIENCE_S
        while self.process.alive:
            assert time.monotonic() < deadline_s, f"{self.name} does not end\n{self.tail()}"
            time.sleep(0.05)
        return self.process.stop()

    def terminate(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code (-9: it had to be killed) and how long it took in seconds."""
        begun_s = time.monotonic()
        code = self.process.stop(grace_s=GRACE_S)
        self._client.close()
        return code, time.monotonic() - begun_s

    def tail(self) -> str:
        """The end of its log, for a test that failed."""
        state = "alive" if self.process.alive else f"ended with code {self.process.stop()}"
        return "\n".join([f"--- {self.name} ({state})", *self.lines[-TAIL_LINES:]])


@dataclass
class Deployed:
    """The six services, the servers they use, and what the officer does: enrol, order, stop.

    `cameras` maps the id of a camera to what ingest is told of it; `told` adds to what a service is told
    whenever it begins; the alerts' database is an SQLite file unless `alerts_database_url` names another.
    Where `login` knows logins, each service has the one of its own name and may do no more at Kafka than it
    must; the topics are made, and looked at, with the operator's. `modules` names what is run instead of the
    usual. Nothing runs before `start`.
    """

    folder: Path
    kafka: KafkaServer
    milvus: MilvusServer
    models: Path
    cameras: Sequence[Mapping[str, object]]
    services: dict[str, Service] = field(default_factory=dict)
    told: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    alerts_database_url: str = ""
    login: LoginOf = nobody_logs_in
    modules: dict[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Chosen once: after control was restarted, the others must find it where it was.
        (self.control_port,) = lasting_ports(1)
        self.alerts_database_url = self.alerts_database_url or f"sqlite:///{self.alerts_database}"
        self.tokens = {name: secrets.token_urlsafe(24) for name in (*SERVICES, "officer")}
        self.topics = TopicsSeen(self.kafka.bootstrap, self.kafka.data_dir, self.login(OPERATOR))

    def start(self) -> None:
        """Make the topics, start control, then the others; return once all are ready for work."""
        create_topics(self.kafka.bootstrap, topic_specs(), login=self.login(OPERATOR))
        self.begin("control")
        self.until(lambda: self.services["control"].ready, "control is ready")
        # Its keys outlive it, so this is true also while control is away.
        self.order_public_key = str(self._control_says("order_public_key"))
        for name in PROCESSES:
            self.begin(name)
        self.until(lambda: all(self.services[name].ready for name in PROCESSES), "all services are ready")
        # A consumer is ready for work once it has its partitions: video that comes earlier would be skipped.
        self.until(self.topics.all_have_partitions, "all consumer groups have their partitions")

    def begin(self, name: str, alias: str = "", **told: str) -> Service:
        """Start one process, told `told` beside or instead of the usual, and don't wait for it.

        Under an `alias` it is one more process beside the service of that name.
        """
        shown = alias or name
        environment = self._control_environment() if name == "control" else self._environment(name)
        if alias and name == "control":
            environment["OVERT_CONTROL_PORT"] = "0"  # the service of that name has the port
        self.services[shown] = Service(
            name,
            {**self._kafka_environment(name), **environment, **self.told.get(name, {}), **told},
            self.folder / f"{shown}.log",
            self.modules.get(name),
        )
        return self.services[shown]

    def forget(self, alias: str) -> None:
        """End a process that was started under an alias."""
        self.services.pop(alias).terminate()

    def _kafka_environment(self, name: str) -> dict[str, str]:
        login = login_environment(self.login(service_of(name)))
        return {"OVERT_KAFKA_BOOTSTRAP": self.kafka.bootstrap, **login}

    def _control_environment(self) -> dict[str, str]:
        return {
            "OVERT_DATA_DIR": str(self.folder / "control"),
            "OVERT_MODELS_DIR": str(self.models),
            "OVERT_MILVUS_URI": self.milvus.uri,
            "OVERT_CONTROL_PORT": str(self.control_port),
            "OVERT_CONTROL_OFFICER_TOKEN": self.tokens["officer"],
            "OVERT_CONTROL_SERVICE_TOKENS": json.dumps({name: self.tokens[name] for name in SERVICES}),
        }

    def _environment(self, name: str) -> dict[str, str]:
        usual = {
            "OVERT_CONTROL_URL": self.control_url,
            "OVERT_SERVICE_TOKEN": self.tokens[service_of(name)],
            "OVERT_ORDER_PUBLIC_KEY": self.order_public_key,
        }
        own = {
            "ingest": {"OVERT_INGEST_CAMERAS": json.dumps(self.cameras)},
            "detect": {"OVERT_MODELS_DIR": str(self.models)},
            "embed": {"OVERT_MODELS_DIR": str(self.models)},
            "match": {"OVERT_MILVUS_URI": self.milvus.uri},
            "alerts": {"OVERT_ALERTS_DATABASE_URL": self.alerts_database_url},
            PAGES: {"OVERT_ALERTS_DATABASE_URL": self.alerts_database_url, "OVERT_ALERTS_PORT": "0"},
        }
        return usual | own[name]

    @property
    def alerts_database(self) -> Path:
        """The SQLite file of the alerts service."""
        return self.folder / "alerts" / "alerts.db"

    @property
    def control_url(self) -> str:
        """Where control answers."""
        return f"http://{LOOPBACK}:{self.control_port}"

    def _control_says(self, what: str) -> object:
        started = self.services["control"].said("started")
        assert started is not None, "control has not started"
        return started[what]

    def keys_of(self, service: str) -> RemoteKeys:
        """Data keys as `service` would get them."""
        return RemoteKeys(self.control_url, SecretStr(self.tokens[service]), SystemClock())

    def officer(self, method: str, path: str, body: Mapping[str, object] | None = None) -> httpx.Response:
        """Ask control's API as the officer. Fails when control refuses."""
        answer = httpx.request(
            method,
            f"{self.control_url}/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.tokens['officer']}"},
            timeout=30,
            trust_env=False,
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def issue_order(self, camera_id: str, *, hours: float = 1.0) -> str:
        """Order the use of one camera from now on; return the deployment id."""
        now_s, deployment_id = time.time(), f"deployment-{uuid4().hex[:8]}"
        self.officer(
            "POST",
            "/deployments",
            {
                "deployment_id": deployment_id,
                "purpose": "protective_event",
                "place": "the demo's square",
                "starts_at_s": now_s,
                "ends_at_s": now_s + hours * 3600,
                "camera_ids": [camera_id],
                "watchlist_id": WATCHLIST,
                "threshold": THRESHOLD,
            },
        )
        return deployment_id

    def stop_order(self, deployment_id: str) -> None:
        """Stop capture."""
        self.officer("POST", f"/deployments/{deployment_id}/stop")

    @contextmanager
    def capturing(self, camera_id: str) -> Iterator[str]:
        """Use a camera while the block lasts; yields the deployment id once its frames are looked at."""
        detect = self.services["detect"]
        before = detect.metric("overt_loop_records_total", topic="frames.v1", outcome="read")
        deployment_id = self.issue_order(camera_id)
        try:
            self.until(
                lambda: detect.metric("overt_loop_records_total", topic="frames.v1", outcome="read") > before,
                f"frames of {camera_id} reach detect",
            )
            yield deployment_id
        finally:
            self.stop_order(deployment_id)

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Return once `condition()` is true. Fails when it takes too long or a service ended meanwhile."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            dead = [name for name in MODULES if name in self.services and not self._lives(name)]
            assert not dead, f"while waiting until {what}: {', '.join(dead)} ended\n{self.tails()}"
            assert time.monotonic() < deadline_s, (
                f"{timeout_s:.0f} s were not enough until {what}\n{self.tails()}"
            )
            time.sleep(0.05)

    def _lives(self, name: str) -> bool:
        return self.services[name].process.alive

    def ensure_running(self) -> None:
        """Start everything again, on what it left, when a process was ended."""
        if not all(name in self.services and self._lives(name) for name in MODULES):
            self.close()
            self.start()

    def tails(self) -> str:
        """The end of every log."""
        return "\n".join(service.tail() for service in self.services.values())

    def close(self) -> None:
        """End every process, control last."""
        for name in sorted(self.services, key=lambda name: name == "control"):
            self.services[name].terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
