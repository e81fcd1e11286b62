"""Serves the control room with uvicorn on a loopback port that is taken before anything starts."""

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from overt.alerts.live import Pulse
from overt.runtime.process import CannotBegin

SHUTDOWN_S = 3


class PortBusy(CannotBegin):
    """Another program listens on the port; the text is one line for the person who started Overt."""


class WebServer:
    """A runner. Raises PortBusy when it is made, not when it runs."""

    def __init__(self, app: ASGIApp, pulse: Pulse, host: str, port: int) -> None:
        self._pulse = pulse
        self._socket = _listen(host, port)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # a login link's token is in the request line
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        self._server = uvicorn.Server(config)
        self.port = int(self._socket.getsockname()[1])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set; open streams are ended, so that nothing waits for them."""
        watcher = threading.Thread(target=self._end_at, args=(stop,), name="web-stop", daemon=True)
        watcher.start()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def close(self) -> None:
        """Give the port back without having run."""
        self._socket.close()

    def _end_at(self, stop: threading.Event) -> None:
        stop.wait()
        self._server.should_exit = True
        self._pulse.close()


def require_free(host: str, port: int) -> None:
    """Raise PortBusy when the port is taken, before anything else is begun."""
    _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # At once: until somebody listens, the address may be bound a second time.
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortBusy(f"cannot open the control room on {host}:{port}: {error.strerror}") from None
    return listener
