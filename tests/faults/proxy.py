"""A TCP proxy on loopback that can be cut: nothing passes any more, and nobody is told."""

import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import Self

from tests.integration.servers.process import LOOPBACK

CHUNK_BYTES = 65_536
TICK_S = 0.05


class Proxy:
    """Passes bytes between a port of its own and `target` (host, port). Used as a context."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole, self._stop = threading.Event(), threading.Event()
        self._whole.set()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, name="proxy")

    @property
    def target_port(self) -> int:
        """Where it passes bytes on to."""
        return self._target[1]

    @property
    def address(self) -> str:
        """Where clients connect: host:port."""
        return f"{LOOPBACK}:{self.port}"

    def cut(self) -> None:
        """Let nothing through any more: bytes on open connections are held back, new ones get no answer."""
        self._whole.clear()

    def mend(self) -> None:
        """Let everything through again, first what was held back."""
        self._whole.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stop.is_set():
                # While it is cut nothing is read: like a cable that is out, not like a server that refuses.
                if not self._whole.wait(TICK_S):
                    continue
                for key, _ in selector.select(TICK_S):
                    side = key.fileobj
                    assert isinstance(side, socket.socket)
                    if side is self._listener:
                        self._accept(selector)
                    elif side in self._pairs:
                        self._pass_on(selector, side)
            for side in list(self._pairs):
                self._close(selector, side)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._target, timeout=2)
        except OSError:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            one.settimeout(5)
            self._pairs[one] = other
            selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, selector: selectors.BaseSelector, side: socket.socket) -> None:
        try:
            data = side.recv(CHUNK_BYTES)
            if data:
                self._pairs[side].sendall(data)
                return
        except OSError:
            pass
        self._close(selector, side)

    def _close(self, selector: selectors.BaseSelector, side: socket.socket) -> None:
        for one in (side, self._pairs.get(side)):
            if one is not None and self._pairs.pop(one, None) is not None:
                with contextlib.suppress(KeyError):
                    selector.unregister(one)
                one.close()
