"""Serves the API on a port that is taken before anything else begins."""

import contextlib
import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from overt.runtime.health import PortTaken


def listen(host: str, port: int) -> socket.socket:
    """Take a port, 0 for any free one. Raises PortTaken."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from None


def runner(app: FastAPI, listener: socket.socket) -> Callable[[threading.Event], None]:
    """Return what serves `app` until it is told to stop, and finishes the requests it has in hand."""
    # No access log: paths name entries.
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)

    def run(stop: threading.Event) -> None:
        def watch() -> None:
            stop.wait()
            server.should_exit = True

        threading.Thread(target=watch, daemon=True, name="api-stop").start()
        with contextlib.closing(listener):
            server.run(sockets=[listener])
        if not stop.is_set():
            raise RuntimeError("the API ended by itself")

    return run
