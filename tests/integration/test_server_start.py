"""What happens around a test server's start: what is fetched once, what is said when something is missing."""

import socket
import stat
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .servers import postgres
from .servers.certificates import NODE_NAME, make_certificates
from .servers.kafka import KafkaServer
from .servers.kafka_jars import POM, STAMP, kafka_jars, kafka_version
from .servers.postgres import PostgresServer
from .servers.process import LOOPBACK, PORT_RANGE, ServerError, ServerProcess, free_ports, lasting_ports


@pytest.fixture
def maven_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for Maven first on the PATH; return the file to which it adds a line a call."""
    calls, program = tmp_path / "calls", tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        echo "$@" >> {calls}
        for each in "$@"; do case "$each" in -DoutputDirectory=*) out="${{each#*=}}" ;; esac; done
        [ -e {tmp_path}/broken ] && {{ echo 'no route to the repository'; exit 1; }}
        echo jar > "$out/kafka_2.13-{kafka_version()}.jar"
        """)
    )
    program.chmod(0o755)
    calls.touch()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return calls


def test_jars_are_fetched_once_however_many_ask(tmp_path: Path, maven_calls: Path) -> None:
    tools = tmp_path / "tools"
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: kafka_jars(tools), range(4)))
    assert folders == {tools / f"kafka-{kafka_version()}"}
    assert len(maven_calls.read_text().splitlines()) == 1
    assert f"--file {POM}" in maven_calls.read_text()


def test_jars_of_another_pom_are_replaced(tmp_path: Path, maven_calls: Path) -> None:
    folder = kafka_jars(tmp_path / "tools")
    (folder / STAMP).write_text("another\n")
    (folder / "old.jar").touch()
    assert kafka_jars(tmp_path / "tools") == folder
    assert not (folder / "old.jar").exists()
    assert len(maven_calls.read_text().splitlines()) == 2


def test_a_failed_fetch_shows_what_maven_said_and_leaves_nothing_to_trust(
    tmp_path: Path, maven_calls: Path
) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(ServerError, match="no route to the repository"):
        kafka_jars(tmp_path / "tools")
    assert [path.suffix for path in (tmp_path / "tools").iterdir()] == [".lock"]
    (tmp_path / "broken").unlink()
    assert list(kafka_jars(tmp_path / "tools").glob("*.jar"))


def test_jars_that_are_there_need_no_maven(
    tmp_path: Path, maven_calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kafka_jars(tmp_path / "tools")
    monkeypatch.setenv("PATH", "")
    assert kafka_jars(tmp_path / "tools") == folder


def test_a_machine_without_maven_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        ServerError, match=r"'mvn' is not on the PATH.*apt-get install .*maven.*ci-prerequisites"
    ):
        kafka_jars(tmp_path / "tools")


def test_a_machine_without_java_is_told_what_to_install(
    tmp_path: Path, maven_calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ServerError, match=r"'java' is not on the PATH.*apt-get install default-jre-headless"):
        KafkaServer.start(tmp_path / "tools", tmp_path / "work")


def test_a_server_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    process = ServerProcess([sys.executable, "-c", "print('disk full'); exit(3)"], log=tmp_path / "log")
    with pytest.raises(ServerError, match=r"(?s)ended with code 3 before it was ready.*\| disk full"):
        process.wait_until(lambda: False, timeout_s=60)
    assert process.stop() == 3


def test_a_server_that_is_never_ready_is_reported_and_one_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    process = ServerProcess([sys.executable, "-c", deaf], log=tmp_path / "log")
    process.wait_until(lambda: "deaf" in process.log.read_text(), timeout_s=60)
    with pytest.raises(ServerError, match="was not ready after 0 s"):
        process.wait_until(lambda: False, timeout_s=0)
    assert process.stop(grace_s=0.1) == -9
    assert process.stop() == -9


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_ports_for_a_server_that_comes_back_are_none_that_clients_are_given() -> None:
    ports = lasting_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < int(PORT_RANGE.read_text().split()[0])


def test_a_port_that_is_taken_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, lasting_ports(1)[0]))
        taken.listen()
        port = int(taken.getsockname()[1])
        monkeypatch.setattr("tests.integration.servers.process.LASTING_FROM", port)
        monkeypatch.setattr("tests.integration.servers.process.EPHEMERAL_FROM", port + 1)
        monkeypatch.setattr("tests.integration.servers.process.PORT_RANGE", Path("/nowhere"))
        with pytest.raises(ServerError, match="no 1 free ports"):
            lasting_ports(1)


def test_a_machine_without_postgresql_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgres, "DEBIAN_PROGRAMS", tmp_path)
    with pytest.raises(ServerError, match=r"'initdb' is not there.*apt-get install postgresql"):
        PostgresServer.start()


def test_nodes_have_a_certificate_of_an_authority_that_can_sign_no_other(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    authority = x509.load_pem_x509_certificate(made.ca.read_bytes())
    node = x509.load_pem_x509_certificate(made.node.read_bytes())
    node.verify_directly_issued_by(authority)
    # Kafka's super user is named by this.
    assert node.subject.rfc4514_string() == f"CN={NODE_NAME}"
    assert stat.S_IMODE(made.node.stat().st_mode) == 0o600
    private = load_pem_private_key(made.node.read_bytes(), None)
    assert private.public_key() == node.public_key() != authority.public_key()
    assert b"PRIVATE KEY" not in made.ca.read_bytes()
    assert sorted(tmp_path.iterdir()) == [made.ca, made.node]
