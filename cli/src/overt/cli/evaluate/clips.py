"""Reads a set of clips with the alerts they should raise, and compares those with the ones raised."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.summary import AlertSummary
from overt.control.folder import read_folder

MAX_FILE_BYTES = 1_000_000


class Clip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recording, and the entries of the list that should raise an alert in it (twice for two alerts)."""

    video: Annotated[str, msgspec.Meta(min_length=1)]
    expected: tuple[str, ...] = ()


class ClipSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The watchlist's folder, as `overt up` takes it, and the clips; paths begin in the file's own folder."""

    watchlist: Annotated[str, msgspec.Meta(min_length=1)]
    clips: Annotated[tuple[Clip, ...], msgspec.Meta(min_length=1)]


class Outcome(msgspec.Struct, frozen=True):
    """Alerts of one clip. `repeated`: more alerts of somebody who was expected; they are no false ones."""

    found: tuple[str, ...]
    missed: tuple[str, ...]
    false: tuple[str, ...]
    repeated: tuple[str, ...]


def read_clips(path: Path) -> ClipSet:
    """Return the clips in a TOML file, each path made whole. Raises EvaluationRefused, ControlError."""
    try:
        content = path.read_bytes()[:MAX_FILE_BYTES]
        clips = msgspec.toml.decode(content, type=ClipSet)
    except OSError as error:
        raise EvaluationRefused(f"{path} can't be read: {error.strerror}") from None
    # Also a number of thousands of digits, or endless nesting.
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise EvaluationRefused(f"{path} is no list of clips: {error}") from None
    whole = ClipSet(
        str(path.parent / clips.watchlist),
        tuple(Clip(str(path.parent / clip.video), clip.expected) for clip in clips.clips),
    )
    entries = {file.entry_id for file in read_folder(Path(whole.watchlist))}
    unknown = sorted({name for clip in whole.clips for name in clip.expected} - entries)
    if unknown:
        raise EvaluationRefused(f"{path} expects {', '.join(unknown)}, not on the list in {whole.watchlist}")
    return whole


def compare(expected: Sequence[str], alerts: Sequence[AlertSummary]) -> Outcome:
    """Return which of the expected alerts were raised, which not, and what was raised besides."""
    wanted, raised = Counter(expected), Counter(alert.entry for alert in alerts)
    more = raised - wanted
    return Outcome(
        found=_sorted(wanted & raised),
        missed=_sorted(wanted - raised),
        false=_sorted(Counter({entry: count for entry, count in more.items() if entry not in wanted})),
        repeated=_sorted(Counter({entry: count for entry, count in more.items() if entry in wanted})),
    )


def _sorted(entries: Counter[str]) -> tuple[str, ...]:
    return tuple(sorted(entries.elements()))
