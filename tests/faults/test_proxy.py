import socket
import threading
from collections.abc import Iterator

import pytest

from tests.integration.servers.process import LOOPBACK

from .proxy import Proxy


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                while data := client.recv(100):
                    client.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()
        thread.join()


def test_what_is_cut_gets_no_answer_until_it_is_mended(echo: tuple[str, int]) -> None:
    with Proxy(echo) as proxy, socket.create_connection((LOOPBACK, proxy.port), timeout=5) as client:
        client.sendall(b"one")
        assert client.recv(10) == b"one"
        proxy.cut()
        client.sendall(b"two")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(10)
        proxy.mend()
        client.settimeout(5)
        assert client.recv(10) == b"two"
