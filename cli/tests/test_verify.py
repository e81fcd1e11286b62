from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from overt.cli.__main__ import app
from overt.cli.runs import AlertLine, differences
from overt.cli.verify import NoRun, alerts_of, read_run, written
from overt.contracts.codec import encode
from overt.contracts.events import AlertRaised, AlertStrengthened, AnyAlertEvent, JudgementMade
from overt.contracts.topics import ALERTS
from overt.runtime.broker import Record

RUNNER = CliRunner()
S = 1_000_000_000


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


BASELINE = [line("a", at_ns=0), line("b", at_ns=40 * S), line("c", at_ns=90 * S)]


def later(alert_id: str, at_s: float, entry_id: str = "entry-1") -> AlertLine:
    """An alert of a run that began a day later, at `at_s` of the recording."""
    return line(alert_id, at_ns=86_400 * S + int(at_s * S), entry_id=entry_id)


def test_two_runs_of_the_same_recordings_are_equal_whatever_their_ids_and_beginnings() -> None:
    other_camera = line("d", "camera-2", at_ns=7 * S)
    run = [later("x", 1), later("y", 38), later("z", 92), line("w", "camera-2")]
    assert differences([*BASELINE, other_camera], run) == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (
            [later("x", 0), later("y", 40), later("z", 41)],
            [
                "entry-1 camera-1 at +90.0 s: lost (c)",
                "entry-1 camera-1 at +41.0 s: doubled (z)",
            ],
        ),
        (
            [later("x", 40), later("y", 90), later("z", 91)],
            [
                "entry-1 camera-1 at +0.0 s: lost (a)",
                "entry-1 camera-1 at +91.0 s: doubled (z)",
            ],
        ),
        (
            [later("x", 0), later("y", 40), later("z", 70)],
            [
                "entry-1 camera-1 at +90.0 s: lost (c)",
                "entry-1 camera-1 at +70.0 s: the undisturbed run did not raise this (z)",
            ],
        ),
        (
            [later("x", 0), later("y", 40), later("z", 90, entry_id="entry-2")],
            [
                "entry-1 camera-1 at +90.0 s: lost (c)",
                "entry-2 camera-1 at +90.0 s: the undisturbed run did not raise this (z)",
            ],
        ),
    ],
)
def test_one_lost_and_one_too_many_are_two_differences(run: list[AlertLine], said: list[str]) -> None:
    assert len(run) == len(BASELINE)
    assert differences(BASELINE, run) == said


def test_how_far_apart_two_times_may_be_is_the_tolerance() -> None:
    run = [later("x", 0), later("y", 40), later("z", 96)]
    assert differences(BASELINE, run) == [
        "entry-1 camera-1 at +90.0 s: lost (c)",
        "entry-1 camera-1 at +96.0 s: the undisturbed run did not raise this (z)",
    ]
    assert differences(BASELINE, run, tolerance_s=6) == []


def test_a_camera_that_saw_nothing_and_one_that_saw_too_much_are_named() -> None:
    run = [line("y", "camera-2", at_ns=5 * S)]
    assert differences([line("a")], run) == [
        "entry-1 camera-1 at +0.0 s: lost (a)",
        "entry-1 camera-2 at +0.0 s: the undisturbed run did not raise this (y)",
    ]


def test_an_event_that_did_not_arrive_is_named() -> None:
    assert differences([line("a")], [line("x", missing=(2, 3))]) == [
        "x: event 2 is missing on alerts.v1",
        "x: event 3 is missing on alerts.v1",
    ]


def test_two_alerts_in_one_labelled_pass_are_one_too_many() -> None:
    found = differences([line("label", passing="1")], [line("x", passing="1"), line("y", passing="1")])
    assert found == ["entry-1 camera-1 1: doubled, 2 alerts instead of 1 (x, y)"]


def test_a_label_is_paired_by_its_name_whatever_the_times_say() -> None:
    assert differences([line("label", passing="1")], [line("x", at_ns=900 * S, passing="1")]) == []


@pytest.mark.parametrize("passing", ["1", None])
def test_an_alert_that_is_allowed_is_not_demanded(passing: str | None) -> None:
    allowed = [line("label", passing=passing, required=False)]
    assert differences(allowed, []) == []
    assert differences(allowed, [line("x", passing=passing)]) == []


def test_a_lost_judgement_is_named() -> None:
    assert differences([line("a", judgements=2)], [line("x", judgements=1)]) == [
        "entry-1 camera-1 at +0.0 s: lost 1 of 2 judgements (x)"
    ]
    assert differences([line("a", judgements=2, passing="1")], [line("x", passing="1")]) == [
        "entry-1 camera-1 1: lost 2 of 2 judgements"
    ]


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
    one.write_text(written(BASELINE))
    two.write_text(written([*BASELINE[:2], line("x", at_ns=96 * S)]))
    assert read_run(one) == BASELINE
    assert RUNNER.invoke(app, ["verify", "conservation", str(one), str(one)]).exit_code == 0
    differ = RUNNER.invoke(app, ["verify", "conservation", str(one), str(two)])
    assert differ.exit_code == 1
    assert "at +90.0 s: lost (c)" in differ.output
    looser = [str(one), str(two), "--tolerance-s", "6"]
    assert RUNNER.invoke(app, ["verify", "conservation", *looser]).exit_code == 0


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRun, match="No such file"):
        read_run(tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text('{"alert": 1}\n')
    with pytest.raises(NoRun, match="holds no run"):
        read_run(tmp_path / "odd.jsonl")
