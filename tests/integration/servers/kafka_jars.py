"""Fetches the jars of Apache Kafka from Maven Central once, and finds them again."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET

from .process import ServerError, require_program

POM = Path(__file__).with_name("kafka-pom.xml")
STAMP = "version.txt"
# Below pytest's limit for one test: whoever waits on a slow line should read why, not "Timeout".
FETCH_TIMEOUT_S = 240.0
REPORT_EVERY_S = 5.0
INSTALL = (
    "install a Java runtime (17 or newer) and Maven; on Debian or Ubuntu, "
    "'apt-get install default-jre-headless maven', which scripts/ci-prerequisites.sh does for root"
)


def kafka_version() -> str:
    """Return the version that the pom names."""
    version = (
        ET.parse(POM)
        .getroot()
        .findtext("m:properties/m:kafka.version", namespaces={"m": "http://maven.apache.org/POM/4.0.0"})
    )
    assert version, f"{POM.name} names no kafka.version"
    return version


def kafka_jars(tools_dir: Path) -> Path:
    """Return the folder with Kafka's jars below `tools_dir`, fetching them when they are not there.

    One process fetches while others wait, and the folder appears whole or not at all: a run that was
    cut off leaves nothing that the next one would trust. Raises ServerError.
    """
    version = kafka_version()
    folder = tools_dir / f"kafka-{version}"
    stamp = f"{version} {hashlib.sha256(POM.read_bytes()).hexdigest()}\n"
    if _stamped(folder, stamp):
        return folder
    tools_dir.mkdir(parents=True, exist_ok=True)
    with _only_one(tools_dir / f"kafka-{version}.lock"):
        if not _stamped(folder, stamp):
            _replace(folder, stamp=stamp, version=version)
    return folder


def _stamped(folder: Path, stamp: str) -> bool:
    try:
        return (folder / STAMP).read_text() == stamp
    except FileNotFoundError:
        return False


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _report("another process is fetching Apache Kafka: waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _replace(folder: Path, *, stamp: str, version: str) -> None:
    maven = require_program("mvn", advice=INSTALL)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.partial-") as partial:
        jars = Path(partial) / "jars"
        jars.mkdir()
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            _fetch(maven, jars, log=log, version=version)
        (jars / STAMP).write_text(stamp)
        if folder.exists():
            shutil.rmtree(folder)
        jars.rename(folder)


def _fetch(maven: str, jars: Path, *, log: IO[str], version: str) -> None:
    started = time.monotonic()
    _report(f"fetching Apache Kafka {version} from Maven Central (44 MB, once) into {jars.parents[1]}")
    command = [
        *(maven, "--batch-mode", "--strict-checksums", "--file", str(POM)),
        *("dependency:copy-dependencies", f"-DoutputDirectory={jars}"),
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            _follow(process, log, deadline=started + FETCH_TIMEOUT_S)
        finally:
            process.kill()
    if process.returncode != 0 or not list(jars.glob(f"kafka_*-{version}.jar")):
        text = "\n".join(f"  | {line}" for line in _lines(log)[-20:])
        raise ServerError(f"Maven could not fetch Apache Kafka {version}; the end of what it said:\n{text}")
    count, took_s = len(list(jars.glob("*.jar"))), time.monotonic() - started
    _report(f"fetched Apache Kafka {version}: {count} jars in {took_s:.0f} s")


def _follow(process: subprocess.Popen[bytes], log: IO[str], *, deadline: float) -> None:
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise ServerError(
                f"fetching Apache Kafka took longer than {FETCH_TIMEOUT_S:.0f} s and was stopped; "
                "Maven keeps what it has, so another try goes on from there"
            )
        try:
            process.wait(REPORT_EVERY_S)
        except subprocess.TimeoutExpired:
            done = sum("Downloaded from" in line and ".jar" in line for line in _lines(log))
            _report(f"  {done} files so far")


def _lines(log: IO[str]) -> list[str]:
    log.seek(0)
    return log.read().splitlines()


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
