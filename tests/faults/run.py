"""One run of the labelled recording, disturbed or not, and what the books say about it afterwards."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from overt.cli.runs import AlertLine, differences

from .ledger import Books, Span, demanded, differing, labelled, name_of, read_books
from .passes import Pass, appearances, passes, undisturbed_s
from .stage import FRESHNESS_S, RATE_HZ, Stage
from .supervisor import Outage

ENTRY = "blue-list-1"
# A pass of which at least this long is seen without a disturbance must raise an alert.
ENOUGH_S = 6.0
# The picture that is seen first after a service is ready again: read, detected, sent on.
CATCH_UP_S = 2.0
# Between what the label says and what the log of ingest says of the beginning.
SLACK_S = 3.0
JUDGE_EVERY_S = 1.0
LOOK_EVERY_S = 1.0
# Of the pictures that were due, not looked at because they were old by then: the machine was behind.
BEHIND_SHARE = 0.5
# What a picture passes on its way; without control no key is renewed.
ON_THE_WAY = ("ingest", "detect", "embed", "match", "control", "broker", "milvus")


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to; everything that must be 0 is a list, so that it names what it is."""

    passes: int
    appearances_required: int
    matches: int
    alerts: int
    lost: list[str]
    doubled: list[str]
    differences: list[str]
    judgements_made: int
    judgements_lost: list[str]
    events_missing: list[str]
    ended_by_themselves: list[str]

    @property
    def conserved(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return not (
            self.lost or self.doubled or self.differences or self.judgements_lost or self.events_missing
        )


@dataclass
class Run:
    """Watches a stage with two people who judge whatever comes."""

    stage: Stage
    _judged_s: float = 0.0
    _looked_s: float = field(default_factory=time.time)
    _skipped: float = 0.0

    def __post_init__(self) -> None:
        self.stage.judges.made.clear()
        self._skipped = self._skipped_now()

    def judge(self) -> None:
        """Let somebody judge, once a second."""
        if time.monotonic() - self._judged_s >= JUDGE_EVERY_S:
            self._judged_s = time.monotonic()
            self.stage.judges.judge_one()

    def note_behind(self) -> None:
        """Write down as an outage what detect had no time to look at: such pictures are lost by design."""
        since_s, now_s = self._looked_s, time.time()
        if now_s - since_s < LOOK_EVERY_S:
            return
        due = RATE_HZ * len(self.stage.cameras) * (now_s - since_s)
        before, self._skipped = self._skipped, self._skipped_now()
        self._looked_s = now_s
        if self._skipped - before > BEHIND_SHARE * due:
            self.stage.supervisor.outages.append(Outage("detect", "behind", since_s - FRESHNESS_S, now_s))

    def _skipped_now(self) -> float:
        return sum(
            self.stage.metric("detect", "overt_detect_frames_skipped_total", reason=reason)
            for reason in ("stale", "superseded")
        )

    def watch(self, seconds: float, every: Callable[[], object] = lambda: None) -> None:
        """Let time pass while people judge."""

        def both() -> None:
            self.judge()
            self.note_behind()
            every()

        self.stage.watch(seconds, both)

    def settle(self) -> tuple[Outcome, Sequence[AlertLine], Sequence[AlertLine]]:
        """End the capture; return the outcome, the lines the labels demand and the lines of the run."""
        self.stage.end_capture()
        books = read_books(self.stage.system, self.stage.orders)
        played = [one for one in self.stage.supervisor.played() if one.deployment_id in self.stage.orders]
        seen = passes(self.stage.recording, played)
        groups = appearances(seen, self.stage.recording.window_s)
        expected = [line for group in groups for line in self._expected(group, books)]
        return self._outcome(books, seen, expected, found=labelled(books, groups, SLACK_S))

    def _expected(self, group: Sequence[Pass], books: Books) -> Sequence[AlertLine]:
        """Return the alerts an appearance should have: one, or as many as its matches on Kafka make."""
        disturbed = [
            (one.from_s, (one.ready_s or time.time()) + CATCH_UP_S)
            for one in self.stage.supervisor.outages
            if one.service in ON_THE_WAY
        ]
        required = any(undisturbed_s(one, disturbed) >= ENOUGH_S for one in group)
        window_s = self.stage.recording.window_s
        spans = [span for span in demanded(books.matches, window_s) if _within(span, group)]
        return [
            AlertLine(
                alert_id="label",
                entry_id=ENTRY,
                camera_id=group[0].camera_id,
                captured_at_ns=int(group[0].from_s * 1e9),
                passing=name_of(group),
                required=number == 0 and required,
            )
            for number in range(max(1, len(spans)))
        ]

    def _outcome(
        self, books: Books, seen: Sequence[Pass], expected: Sequence[AlertLine], *, found: Sequence[AlertLine]
    ) -> tuple[Outcome, Sequence[AlertLine], Sequence[AlertLine]]:
        missing, surplus = differing(books, self.stage.recording.window_s)
        kept = {(alert_id, person, verdict) for alert_id, person, verdict in books.judgements}
        made = {
            (alert, person.lower().replace(" ", "-"), verdict)
            for alert, person, verdict in self.stage.judges.made
        }
        told = {line.alert_id for line in books.events}
        outcome = Outcome(
            passes=len(seen),
            appearances_required=sum(line.required for line in expected),
            matches=len(books.matches),
            alerts=len(books.alerts),
            lost=[str(span) for span in missing],
            doubled=[str(span) for span in surplus],
            differences=list(differences(expected, found)),
            judgements_made=len(made),
            judgements_lost=[" ".join(one) for one in sorted(made - kept)],
            events_missing=sorted(books.alerts.keys() ^ told)
            + [line.alert_id for line in books.events if line.missing],
            ended_by_themselves=list(self.stage.supervisor.own_ends),
        )
        return outcome, expected, found


def _within(span: Span, group: Sequence[Pass]) -> bool:
    first, last = group[0], group[-1]
    return (
        span.deployment_id == first.deployment_id
        and first.from_s - SLACK_S <= span.last_at_ns / 1e9
        and span.first_at_ns / 1e9 <= last.to_s + SLACK_S
    )
