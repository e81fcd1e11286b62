"""Starts a real PostgreSQL on the loopback address for tests, as a user without privileges."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from .process import LOOPBACK, ServerError, ServerProcess, lasting_ports, listens

START_TIMEOUT_S = 60.0
START_ATTEMPTS = 3
USER = "overt"
DEBIAN_PROGRAMS = Path("/usr/lib/postgresql")
INSTALL = (
    "install PostgreSQL (15 or newer); on Debian or Ubuntu, 'apt-get install postgresql', "
    "which scripts/ci-prerequisites.sh does for root"
)


@dataclass(slots=True)
class PostgresServer:
    """A running server. `database()` makes one in it; after `stop` or `kill`, `restart` finds all again."""

    port: int
    password: str
    home: Path
    _programs: Path
    _process: ServerProcess

    @classmethod
    def start(cls) -> Self:
        """Start a server with its files in a temporary folder; return once it answers.

        The folder goes when the `with` block ends. Raises ServerError.
        """
        programs = _programs()
        for attempt in range(1, START_ATTEMPTS + 1):
            # Not below a test's own folder: into that one the unprivileged user could not even look.
            home = Path(tempfile.mkdtemp(prefix="overt-postgres-"))
            password, (port,) = secrets.token_urlsafe(24), lasting_ports(1)
            try:
                _make_cluster(programs, home, password)
                server = cls(port, password, home, programs, _launch(programs, home, port))
                server._wait()
            except ServerError as error:
                shutil.rmtree(home)
                if attempt == START_ATTEMPTS or "Address already in use" not in str(error):
                    raise
            else:
                return server
        raise AssertionError("unreachable")

    def database(self) -> str:
        """Make an empty database; return its SQLAlchemy URL, for psycopg 3."""
        name = f"overt_{secrets.token_hex(6)}"
        with psycopg.connect(self.connection("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://{USER}:{self.password}@{LOOPBACK}:{self.port}/{name}"

    def connection(self, database: str) -> str:
        """Return what `psycopg.connect` takes to reach `database` as the superuser, over TCP."""
        return make_conninfo(
            host=LOOPBACK,
            port=self.port,
            user=USER,
            password=self.password,
            dbname=database,
            connect_timeout=5,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """End it in order, without waiting for clients; files stay. Safe to call again."""
        self._process.stop(signal.SIGINT)

    def kill(self) -> None:
        """End it at once; its own processes follow when they notice."""
        self._process.stop(signal.SIGKILL)

    def restart(self) -> None:
        """End it in order if it runs, start it on the same port and files, return once it answers."""
        self.stop()
        self._process = _launch(self._programs, self.home, self.port)
        self._wait()

    def _wait(self) -> None:
        try:
            self._process.wait_until(self._answers, timeout_s=START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        if not listens(self.port):
            return False
        try:
            with psycopg.connect(self.connection("postgres")) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.home)


def _programs() -> Path:
    """Return the folder with initdb and postgres: Debian keeps it off the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [path for path in DEBIAN_PROGRAMS.glob("*/bin") if (path / "initdb").exists()]
    if not versions:
        raise ServerError(f"'initdb' is not there, and the integration tests need it: {INSTALL}")
    return max(versions, key=lambda path: float(path.parent.name))


def _unprivileged() -> str | None:
    """Return the user that the server runs as: PostgreSQL refuses root. None: whoever runs this."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _make_cluster(programs: Path, home: Path, password: str) -> None:
    secret, user = home / "password", _unprivileged()
    secret.touch(mode=0o600)
    secret.write_text(password)
    if user is not None:
        shutil.chown(home, user)
        shutil.chown(secret, user)
    done = subprocess.run(
        [
            *(str(programs / "initdb"), "--pgdata", str(home / "data"), "--username", USER),
            *("--auth=scram-sha-256", "--pwfile", str(secret), "--encoding=UTF8", "--locale=C.UTF-8"),
            "--no-sync",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        user=user,
        cwd=home,
    )
    secret.unlink()
    if done.returncode != 0:
        raise ServerError(f"PostgreSQL's files were not made:\n{done.stdout}{done.stderr}")


def _launch(programs: Path, home: Path, port: int) -> ServerProcess:
    settings = {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": str(home)}
    command = [str(programs / "postgres"), "-D", str(home / "data")]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return ServerProcess(command, log=home / "postgres.log", user=_unprivileged())
