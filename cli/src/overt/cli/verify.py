"""`overt verify`: what alerts a run left on `alerts.v1`, and whether two runs left the same."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer
from pydantic import SecretStr

from overt.cli.progress import say
from overt.cli.runs import TOLERANCE_S, AlertLine, differences
from overt.contracts.codec import Unreadable, decode
from overt.contracts.events import AlertRaised, AnyAlertEvent, JudgementMade
from overt.contracts.topics import ALERTS
from overt.runtime.broker import BrokerError, Record
from overt.runtime.kafka import KafkaBroker
from overt.runtime.kafka_security import KafkaLogin

verify_app = typer.Typer(no_args_is_help=True, help="Check that no alert was lost and none was doubled.")

DIFFERENT = 1
AWAY = 1


class NoRun(ValueError):
    """A file that holds no run, or a record that is no event of an alert."""


@verify_app.command(epilog="Example:  overt verify conservation undisturbed.jsonl disturbed.jsonl")
def conservation(
    baseline: Annotated[Path, typer.Argument(help="The undisturbed run, as `overt verify record` wrote it.")],
    run: Annotated[Path, typer.Argument(help="The run to be checked.")],
    tolerance_s: Annotated[
        float,
        typer.Option(
            help="How far apart the times of an alert may be, each from the beginning of its run: less than "
            "half of what lies between two alerts of one person.",
            min=0,
        ),
    ] = TOLERANCE_S,
) -> None:
    """Compare the alerts of two runs of the same recordings; exit 1 and name each difference.

    Alerts of the same entry and camera are paired by time, however much later one run began. Runs in which a
    recording began anew need labels, which `make chaos ARGS="--out DIR"` writes.
    """
    found = differences(read_run(baseline), read_run(run), tolerance_s)
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
    """Write one line of JSON for each alert that stands on alerts.v1 now; exit 1 when Kafka is away."""
    login = KafkaLogin(username, SecretStr(password), ca_file) if username else None
    try:
        records = _whole_topic(KafkaBroker(kafka, client_id="overt-verify", login=login))
    except BrokerError as error:
        say(f"overt: {error}")
        raise typer.Exit(AWAY) from None
    sys.stdout.write(written(alerts_of(records)))


def _whole_topic(broker: KafkaBroker) -> Sequence[Record]:
    reader = broker.table(ALERTS.name)
    try:
        return reader.poll()
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
