"""Keeps the services of a deployment running as Kubernetes would, kills them, and writes down when what was away."""

import json
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tests.integration.deployed import Deployed, Service

from .passes import Playing

# Kubernetes begins an ended container at once and waits after the second time; a test does not wait long.
BACK_OFF_S = 1.0
PATIENCE_S = 150.0


@dataclass(slots=True)
class Outage:
    """A process was away: from its first end (UNIX seconds) until it said that it was ready again.

    `times`: how often it was killed until then.
    """

    service: str
    cause: str
    from_s: float
    ready_s: float | None = None
    times: int = 0


@dataclass
class Supervisor:
    """Watches `system`. Call `tick` often; everything happens in the caller's thread."""

    system: Deployed
    outages: list[Outage] = field(default_factory=list)
    own_ends: list[str] = field(default_factory=list)
    _logs: list[tuple[str, Path, float]] = field(default_factory=list)
    _begun_s: dict[str, float] = field(default_factory=dict)

    def kill(self, name: str, cause: str = "kill") -> Outage:
        """Send SIGKILL to a service and begin it again at once."""
        service = self.system.services[name]
        service.process.send(signal.SIGKILL)
        outage = self._again(name, cause)
        outage.cause = cause  # also when it had just ended by itself
        outage.times += 1
        return outage

    def note(self, name: str, cause: str) -> Outage:
        """Write down that something else than a service goes away now; whoever noted it says when it is back."""
        outage = Outage(name, cause, time.time())
        self.outages.append(outage)
        return outage

    def tick(self) -> None:
        """Begin again what ended by itself; note what is ready again."""
        for name, service in list(self.system.services.items()):
            if not service.process.alive and self._may_begin(name):
                errors = [line for line in service.lines if '"level": "error"' in line] or service.lines
                self.own_ends.append(f"{name}: {errors[-1][:400] if errors else 'it wrote nothing'}")
                self._again(name, "own end")
        for outage in self.away():
            if self.system.services[outage.service].ready:
                outage.ready_s = time.time()

    def away(self) -> list[Outage]:
        """Return the services that are not ready again."""
        known = self.system.services
        return [one for one in self.outages if one.ready_s is None and one.service in known]

    def until_all_ready(self, timeout_s: float = PATIENCE_S) -> None:
        """Return once every process is ready. Fails, with the ends of the logs, when it takes longer."""
        deadline_s = time.monotonic() + timeout_s
        self.tick()
        while self.away():
            assert time.monotonic() < deadline_s, (
                f"not ready again: {[one.service for one in self.away()]}\n{self.system.tails()}"
            )
            time.sleep(0.1)
            self.tick()

    def _may_begin(self, name: str) -> bool:
        return time.time() - self._begun_s.get(name, 0.0) > BACK_OFF_S

    def _again(self, name: str, cause: str) -> Outage:
        service = self.system.services[name]
        service.terminate()
        # One outage until it is ready, however often it ends meanwhile.
        outage = next((one for one in self.away() if one.service == name), None) or self.note(name, cause)
        self._keep(name, service)
        self.system.begin(name)
        self._begun_s[name] = time.time()
        return outage

    def played(self) -> list[Playing]:
        """Return when which camera played from the beginning of its recording, by the logs of ingest."""
        found: list[Playing] = []
        for path, ended_s in self._lives("ingest"):
            begun: dict[str, Playing] = {}
            for line in _lines(path):
                if line.get("event") not in ("capture begins", "capture ended"):
                    continue
                at_s = datetime.fromisoformat(str(line["timestamp"])).timestamp()
                camera_id = str(line["camera"])
                if camera_id in begun:
                    before = begun.pop(camera_id)
                    found.append(Playing(camera_id, before.deployment_id, before.from_s, at_s))
                if line["event"] == "capture begins":
                    begun[camera_id] = Playing(camera_id, str(line["deployment"]), at_s, ended_s)
            found += begun.values()
        return found

    def retire(self, name: str, service: Service) -> None:
        """End a service in order and let it be. Fails when it does not end well."""
        code, _ = service.terminate()
        assert code == 0, service.tail()
        self._keep(name, service)

    def _keep(self, name: str, service: Service) -> None:
        # A new process of that name writes its own.
        kept = service.process.log.with_suffix(f".{len(self._logs)}.log")
        service.process.log.rename(kept)
        self._logs.append((name, kept, time.time()))

    def _lives(self, name: str) -> Iterator[tuple[Path, float]]:
        yield from ((path, ended_s) for of, path, ended_s in self._logs if of == name)
        if name in self.system.services:
            yield self.system.services[name].process.log, time.time()

    def logs(self) -> Iterator[Path]:
        """Yield the log of every process there was."""
        yield from (path for _, path, _ in self._logs)
        yield from (service.process.log for service in self.system.services.values())


def _lines(path: Path) -> Iterator[Mapping[str, object]]:
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)
