"""Two runs of the same recordings: which of their alerts are the same, which were lost and which doubled."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import product
from typing import TypeVar

import msgspec

from overt.contracts.topics import ALERTS

NS_PER_S = 1_000_000_000
# Lost pictures delay an alert by a second or two; two alerts of one entry are at least a window (30 s) apart.
TOLERANCE_S = 5.0
# Among so many first alerts of a camera one is looked for that both runs have.
FIRST = 10

K = TypeVar("K", bound=Hashable)


class AlertLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One alert of a run. `passing` names the pass of a labelled clip; without it alerts are paired by time.

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


Lines = Sequence[AlertLine]
Pair = tuple[AlertLine, AlertLine]


def differences(
    baseline: Iterable[AlertLine], run: Iterable[AlertLine], tolerance_s: float = TOLERANCE_S
) -> Sequence[str]:
    """Return each difference that makes `run` another outcome than `baseline`, in words.

    Labelled alerts are counted pass by pass. The others of a camera are paired by time: the runs may have
    begun at different times, so the shift between them is the one that pairs the most, each pair no further
    apart than `tolerance_s`.
    """
    expected, found = list(baseline), list(run)
    said = [
        f"{line.alert_id}: event {number} is missing on {ALERTS.name}"
        for line in found
        for number in line.missing
    ]
    for where, before, after in _grouped(_labelled, expected, found):
        said += _counted(" ".join(where), before, after)
    for camera, before, after in _grouped(_unlabelled, expected, found):
        said += _timed(camera, before, after, int(tolerance_s * NS_PER_S))
    return said


def _labelled(line: AlertLine) -> tuple[str, ...] | None:
    return (line.entry_id, line.camera_id, line.passing) if line.passing else None


def _unlabelled(line: AlertLine) -> str | None:
    return None if line.passing else line.camera_id


def _grouped(
    key_of: Callable[[AlertLine], K | None], expected: Lines, found: Lines
) -> Iterator[tuple[K, Lines, Lines]]:
    """Yield each key with the lines of both runs that have it, in order of time; None is no key."""
    groups: dict[K, tuple[list[AlertLine], list[AlertLine]]] = {}
    for side, lines in enumerate((expected, found)):
        for line in sorted(lines, key=lambda line: line.captured_at_ns):
            key = key_of(line)
            if key is not None:
                groups.setdefault(key, ([], []))[side].append(line)
    for key in sorted(groups, key=str):
        yield key, *groups[key]


def _counted(where: str, expected: Lines, found: Lines) -> Iterator[str]:
    """Compare one labelled pass, of whose alerts only the number is known."""
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


def _timed(camera: str, expected: Lines, found: Lines, tolerance_ns: int) -> Iterator[str]:
    """Compare the unlabelled alerts of one camera; times are told from its first alert in the baseline on."""
    shift_ns = _shift_ns(expected, found, tolerance_ns)
    pairs = _paired(expected, found, shift_ns, tolerance_ns)
    begun_ns = expected[0].captured_at_ns if expected else found[0].captured_at_ns - shift_ns

    def at(line: AlertLine, shift_ns: int) -> str:
        return f"{line.entry_id} {camera} at {(line.captured_at_ns - shift_ns - begun_ns) / NS_PER_S:+.1f} s"

    for before, after in pairs:
        if after.judgements < before.judgements and before.required:
            lost = before.judgements - after.judgements
            yield f"{at(before, 0)}: lost {lost} of {before.judgements} judgements ({after.alert_id})"
    for line in expected:
        if line.required and not any(line is before for before, _ in pairs):
            yield f"{at(line, 0)}: lost ({line.alert_id})"
    for line in found:
        if not any(line is after for _, after in pairs):
            near = any(_is_near(before, line, shift_ns, tolerance_ns) for before, _ in pairs)
            what = "doubled" if near else "the undisturbed run did not raise this"
            yield f"{at(line, shift_ns)}: {what} ({line.alert_id})"


def _is_near(before: AlertLine, after: AlertLine, shift_ns: int, tolerance_ns: int) -> bool:
    late_ns = after.captured_at_ns - shift_ns - before.captured_at_ns
    return before.entry_id == after.entry_id and abs(late_ns) <= tolerance_ns


def _shift_ns(expected: Lines, found: Lines, tolerance_ns: int) -> int:
    """Return how much later the run began, by whatever pairs the most alerts; 0 where nothing can be paired."""
    shifts = [
        after.captured_at_ns - before.captured_at_ns
        for before, after in product(expected[:FIRST], found[:FIRST])
        if before.entry_id == after.entry_id
    ]
    return max(shifts, key=lambda shift: len(_paired(expected, found, shift, tolerance_ns)), default=0)


def _paired(expected: Lines, found: Lines, shift_ns: int, tolerance_ns: int) -> Sequence[Pair]:
    """Pair alerts of the same entry, earliest first, that are near each other; each is in one pair at most."""
    pairs: list[Pair] = []
    for _, of_entry, left in _grouped(lambda line: line.entry_id, expected, found):
        waiting = list(left)
        for before in of_entry:
            earliest_ns = before.captured_at_ns + shift_ns - tolerance_ns
            while waiting and waiting[0].captured_at_ns < earliest_ns:
                waiting.pop(0)
            if waiting and _is_near(before, waiting[0], shift_ns, tolerance_ns):
                pairs.append((before, waiting.pop(0)))
    return pairs
