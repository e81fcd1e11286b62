from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from overt.cli.__main__ import app
from overt.cli.verify import AlertLine, NoRun, alerts_of, differences, read_run, written
from overt.contracts.codec import encode
from overt.contracts.events import AlertRaised, AlertStrengthened, AnyAlertEvent, JudgementMade
from overt.contracts.topics import ALERTS
from overt.runtime.broker import Record

RUNNER = CliRunner()


def line(alert_id: str, camera_id: str = "camera-1", at_ns: int = 1, **more: object) -> AlertLine:
    return msgspec.convert(
        {
            "alert_id": alert_id,
            "entry_id": "entry-1",
            "camera_id": camera_id,
            "captured_at_ns": at_ns,
            **more,
        },
        AlertLine,
    )


def record(event: AnyAlertEvent, offset: int) -> Record:
    return Record(ALERTS.name, 0, offset, event.alert_id.encode(), encode(ALERTS, event), 0)


def raised(alert_id: str, sequence: int = 1) -> AlertRaised:
    return AlertRaised(
        alert_id, "deployment-1", sequence, 5, 1, entry_id="entry-1", watchlist_id="list-1",
        camera_id="camera-1", captured_at_ns=4, similarity=0.5, threshold=0.4, link="/alerts/a",
    )  # fmt: skip


def judged(alert_id: str, sequence: int) -> JudgementMade:
    return JudgementMade(alert_id, "deployment-1", sequence, 6, 1, ordinal=1, state="awaiting_second")


def test_two_runs_with_the_same_passes_are_equal_whatever_their_ids_and_times() -> None:
    baseline = [line("a", at_ns=10), line("b", at_ns=20), line("c", "camera-2")]
    assert differences(baseline, [line("x", at_ns=900), line("y", "camera-2"), line("z", at_ns=700)]) == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ([line("x")], "entry-1 camera-1 pass 2: lost 1 of 1 alerts"),
        (
            [line("x"), line("y", at_ns=2), line("z", at_ns=3)],
            "entry-1 camera-1 pass 3: 1 alerts that the undisturbed run did not raise (z)",
        ),
        (
            [line("x"), line("y", "camera-2"), line("z", at_ns=2)],
            "entry-1 camera-2 pass 1: 1 alerts that the undisturbed run did not raise (y)",
        ),
        ([line("x", missing=(2, 3)), line("y", at_ns=2)], "x: event 2 is missing on alerts.v1"),
    ],
)
def test_each_difference_is_named(run: list[AlertLine], said: str) -> None:
    assert differences([line("a"), line("b", at_ns=2)], run)[0] == said


def test_two_alerts_in_one_labelled_pass_are_one_too_many() -> None:
    found = differences([line("label", passing="1")], [line("x", passing="1"), line("y", passing="1")])
    assert found == ["entry-1 camera-1 1: doubled, 2 alerts instead of 1 (x, y)"]


def test_an_alert_that_is_allowed_is_not_demanded() -> None:
    allowed = [line("label", passing="1", required=False)]
    assert differences(allowed, []) == []
    assert differences(allowed, [line("x", passing="1")]) == []


def test_a_lost_judgement_is_named() -> None:
    found = differences([line("a", judgements=2)], [line("x", judgements=1)])
    assert found == ["entry-1 camera-1 pass 1: lost 1 of 2 judgements"]


def test_events_that_arrive_twice_count_once_and_a_gap_is_seen() -> None:
    events: list[AnyAlertEvent] = [raised("a"), raised("a"), judged("a", 2), judged("a", 2), judged("a", 4)]
    (seen,) = alerts_of(record(event, offset) for offset, event in enumerate(events))
    assert (seen.alert_id, seen.judgements, seen.missing) == ("a", 2, (3,))


def test_an_alert_whose_first_event_was_lost_is_still_seen() -> None:
    late = AlertStrengthened("a", "deployment-1", 2, 6, 1, similarity=0.6)
    (seen,) = alerts_of([record(late, 0)])
    assert (seen.alert_id, seen.missing) == ("a", (1,))


def test_what_is_no_event_is_refused_with_its_place() -> None:
    with pytest.raises(NoRun, match="partition 0, offset 7"):
        alerts_of([Record(ALERTS.name, 0, 7, b"a", b"{}", 0)])


def test_the_command_ends_with_1_when_runs_differ_and_0_when_they_do_not(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text(written([line("a"), line("b", at_ns=2)]))
    two.write_text(written([line("x")]))
    assert read_run(one) == [line("a"), line("b", at_ns=2)]
    assert RUNNER.invoke(app, ["verify", "conservation", str(one), str(one)]).exit_code == 0
    differ = RUNNER.invoke(app, ["verify", "conservation", str(one), str(two)])
    assert differ.exit_code == 1
    assert "lost 1 of 1 alerts" in differ.output


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRun, match="No such file"):
        read_run(tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text('{"alert": 1}\n')
    with pytest.raises(NoRun, match="holds no run"):
        read_run(tmp_path / "odd.jsonl")
