"""Says over HTTP whether this process lives, is ready, and what it counted: /healthz, /readyz, /metrics."""

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

REQUEST_TIMEOUT_S = 5.0


class Health:
    """What keeps this process from being ready, by part. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: dict[str, str] = {}

    def set(self, part: str, problem: str | None) -> None:
        """Say that `part` has `problem`, or none (any more)."""
        with self._lock:
            if problem is None:
                self._problems.pop(part, None)
            else:
                self._problems[part] = problem

    def problems(self) -> Mapping[str, str]:
        """Return the problems there are now; empty means ready."""
        with self._lock:
            return dict(self._problems)


class PortTaken(OSError):
    """The health server could not listen where it was told to."""


class HealthServer:
    """Answers /healthz (alive), /readyz (503 with the problems) and /metrics (Prometheus text)."""

    def __init__(self, health: Health, registry: CollectorRegistry, host: str, port: int) -> None:
        """Take the port, 0 for any free one. Raises PortTaken."""
        try:
            self._server = _Server((host, port), _handler(health, registry))
        except OSError as error:
            raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), daemon=True, name="health"
        )

    @property
    def port(self) -> int:
        """The port that was taken."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # server_close must not wait for a scraper that keeps its connection open.
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event."""


def _handler(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT_S
        server_version = "health"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(HTTPStatus.OK, "application/json", b'{"status": "alive"}\n')
            elif self.path == "/readyz":
                problems = health.problems()
                status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
                self._answer(status, "application/json", json.dumps({"problems": problems}).encode() + b"\n")
            elif self.path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))
            else:
                self._answer(HTTPStatus.NOT_FOUND, "application/json", b'{"status": "no such page"}\n')

        def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A probe every few seconds is not worth a line."""

    return Handler
