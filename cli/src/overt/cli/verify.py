"""`overt verify`: what alerts a run left on `alerts.v1`, and whether two runs left the same."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer
from pydantic import SecretStr

from overt.cli.progress import say
from overt.contracts.codec import Unreadable, decode
from overt.contracts.events import AlertRaised, AnyAlertEvent, JudgementMade
from overt.contracts.topics import ALERTS
from overt.runtime.broker import Record
from overt.runtime.kafka import KafkaBroker
from overt.runtime.kafka_security import KafkaLogin

verify_app = typer.Typer(no_args_is_help=True, help="Check that no alert was lost and none was doubled.")

DIFFERENT = 1


class AlertLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One alert of a run. `passing` names the pass of a labelled clip; without it alerts are numbered by time.

    `required` False: this line allows the alert, and does not demand it. `missing` are sequence numbers
    that did not arrive on `alerts.v1`.
    """

    alert_id: str
    entry_id: str
    camera_id: str
    captured_at_ns: int
    deployment_id: str = ""
    judgements: int = 0
    missing: tuple[int, ...] = ()
    passing: str | None = None
    required: bool = True


class NoRun(ValueError):
    """A file that holds no run, or a record that is no event of an alert."""


@verify_app.command(epilog="Example:  overt verify conservation undisturbed.jsonl disturbed.jsonl")
def conservation(
    baseline: Annotated[Path, typer.Argument(help="The undisturbed run, as `overt verify record` wrote it.")],
    run: Annotated[Path, typer.Argument(help="The run to be checked.")],
) -> None:
    """Compare the alerts of two runs of the same recordings; exit 1 and name each difference."""
    found = differences(read_run(baseline), read_run(run))
    for difference in found:
        sys.stdout.write(difference + "\n")
    say(f"{len(found)} differences" if found else "nothing was lost, nothing was doubled")
    raise typer.Exit(DIFFERENT if found else 0)


@verify_app.command(epilog="Example:  overt verify record --kafka 127.0.0.1:9092 > run.jsonl")
def record(
    kafka: Annotated[str, typer.Option(help="Bootstrap address.", envvar="OVERT_KAFKA_BOOTSTRAP")],
    username: Annotated[
        str,
        typer.Option(help="Kafka user; empty for a broker without logins.", envvar="OVERT_KAFKA_USERNAME"),
    ] = "",
    password: Annotated[
        str, typer.Option(help="Its password.", envvar="OVERT_KAFKA_PASSWORD", show_default=False)
    ] = "",
    ca_file: Annotated[
        Path | None, typer.Option(help="Who signed the brokers' certificates.", envvar="OVERT_KAFKA_CA_FILE")
    ] = None,
) -> None:
    """Write one line of JSON for each alert that stands on alerts.v1 now."""
    login = KafkaLogin(username, SecretStr(password), ca_file) if username else None
    reader = KafkaBroker(kafka, client_id="overt-verify", login=login).table(ALERTS.name)
    try:
        sys.stdout.write(written(alerts_of(reader.poll())))
    finally:
        reader.close()


def alerts_of(records: Iterable[Record]) -> Sequence[AlertLine]:
    """Return the alerts that the records of `alerts.v1` tell of, oldest first. Raises NoRun.

    Events arrive at least once: the same sequence number again is the same event.
    """
    events: dict[str, dict[int, AnyAlertEvent]] = {}
    for one in records:
        try:
            event = cast("AnyAlertEvent", decode(ALERTS, one.value or b""))
        except Unreadable as error:
            raise NoRun(f"{ALERTS.name}, partition {one.partition}, offset {one.offset}: {error}") from None
        events.setdefault(event.alert_id, {})[event.sequence] = event
    lines = [_line(alert_id, of_alert) for alert_id, of_alert in events.items()]
    return sorted(lines, key=lambda line: (line.captured_at_ns, line.alert_id))


def _line(alert_id: str, events: dict[int, AnyAlertEvent]) -> AlertLine:
    raised = next((event for event in events.values() if isinstance(event, AlertRaised)), None)
    return AlertLine(
        alert_id=alert_id,
        entry_id=raised.entry_id if raised else "",
        camera_id=raised.camera_id if raised else "",
        captured_at_ns=raised.captured_at_ns if raised else 0,
        deployment_id=next(iter(events.values())).deployment_id,
        judgements=sum(isinstance(event, JudgementMade) for event in events.values()),
        missing=tuple(number for number in range(1, max(events) + 1) if number not in events),
    )


def written(lines: Iterable[AlertLine]) -> str:
    """Return a run as text: one line of JSON an alert."""
    return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)


def read_run(path: Path) -> Sequence[AlertLine]:
    """Return the alerts in the file at `path`. Raises NoRun."""
    try:
        return msgspec.json.decode(
            b"[" + b",".join(path.read_bytes().splitlines()) + b"]", type=list[AlertLine]
        )
    except OSError as error:
        raise NoRun(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise NoRun(f"{path} holds no run: {error}") from None


def differences(baseline: Iterable[AlertLine], run: Iterable[AlertLine]) -> Sequence[str]:
    """Return each difference that makes `run` another outcome than `baseline`, in words."""
    lines = list(run)
    expected, found = _by_pass(baseline), _by_pass(lines)
    said = [
        f"{line.alert_id}: event {number} is missing on {ALERTS.name}"
        for line in lines
        for number in line.missing
    ]
    for key in sorted(expected.keys() | found.keys()):
        said += _compared(" ".join(key), expected.get(key, ()), found.get(key, ()))
    return said


def _compared(where: str, expected: Sequence[AlertLine], found: Sequence[AlertLine]) -> Iterator[str]:
    required = sum(line.required for line in expected)
    ids = ", ".join(line.alert_id for line in found)
    if len(found) < required:
        yield f"{where}: lost {required - len(found)} of {required} alerts"
    if found and not expected:
        yield f"{where}: {len(found)} alerts that the undisturbed run did not raise ({ids})"
    elif len(found) > len(expected):
        yield f"{where}: doubled, {len(found)} alerts instead of {len(expected)} ({ids})"
    judged = sum(line.judgements for line in expected if line.required)
    if (kept := sum(line.judgements for line in found)) < judged:
        yield f"{where}: lost {judged - kept} of {judged} judgements"


def _by_pass(lines: Iterable[AlertLine]) -> dict[tuple[str, ...], list[AlertLine]]:
    """Group by entry, camera and pass; without labels the first pass of a camera is its first alert."""

    def place(line: AlertLine) -> tuple[str, str]:
        return (line.entry_id, line.camera_id)

    groups: dict[tuple[str, ...], list[AlertLine]] = {}
    ordered = sorted(lines, key=lambda line: (place(line), line.captured_at_ns))
    for where, of_camera in groupby(ordered, key=place):
        for number, line in enumerate(of_camera, start=1):
            groups.setdefault((*where, line.passing or f"pass {number}"), []).append(line)
    return groups
