"""Starts Milvus Lite as a server process on the loopback address for tests."""

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pymilvus import MilvusClient, MilvusException  # type: ignore[import-untyped]

from .process import LOOPBACK, ServerProcess, lasting_ports, listens

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class MilvusServer:
    """A running server: `uri` is what `MilvusClient` takes, `data_dir` holds its collections."""

    uri: str
    data_dir: Path
    process: ServerProcess

    @classmethod
    def start(cls, work_dir: Path, *, port: int | None = None) -> Self:
        """Start a server with its files in `work_dir`; return once it answers. Raises ServerError.

        On a free port, unless whoever asks for it before it is there has to know the `port`.
        """
        work_dir.mkdir(parents=True, exist_ok=True)
        port = port or lasting_ports(1)[0]
        data = work_dir.resolve() / "data"
        command = [
            *(sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(data)),
            *("--host", LOOPBACK, "--port", str(port)),
        ]
        server = cls(f"http://{LOOPBACK}:{port}", data, ServerProcess(command, log=work_dir / "milvus.log"))
        try:
            server._wait(port)
        except BaseException:
            server.stop()
            raise
        return server

    def _wait(self, port: int) -> None:
        self.process.wait_until(lambda: listens(port), timeout_s=START_TIMEOUT_S)
        self.process.wait_until(self.answers, timeout_s=START_TIMEOUT_S)

    def answers(self) -> bool:
        """Whether it lists its collections."""
        try:
            client = MilvusClient(self.uri, timeout=1)
        except MilvusException:
            return False
        try:
            client.list_collections()
        except MilvusException:
            return False
        finally:
            client.close()
        return True

    def stop(self) -> None:
        """End the server; its files stay. Safe to call again.

        It writes out and unlocks its folder on SIGINT alone, so that comes before the usual signals.
        """
        self.process.stop(signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
