"""Whether a run held: each reason against it in words, and the last line that a command prints."""

from collections.abc import Sequence

from .endure import Away
from .run import Outcome

# "Recovery without hands within 10 s of return."
MAX_RECOVERY_S = 10.0
# "Memory bounded all along": the bounds of the queues together and what allocators keep; kept pictures are more.
MAX_GROWTH_MB = 100.0
MUST_BE_EMPTY = ("lost", "doubled", "differences", "judgements_lost", "events_missing", "ended_by_themselves")


def reasons_in_outcome(outcome: Outcome) -> Sequence[str]:
    """Return why what is in the books does not hold; nothing when it does."""
    found = [
        f"{name.replace('_', ' ')}: {len(entries)}"
        for name in MUST_BE_EMPTY
        if (entries := getattr(outcome, name))
    ]
    if outcome.appearances_required == 0:
        found.append("every pass was disturbed, so no alert was demanded and nothing was shown")
    return found


def reasons_in_away(fault: str, found: Away) -> Sequence[str]:
    """Return why what was measured while a server was away does not hold."""
    reasons = []
    if found.works_again_s > MAX_RECOVERY_S:
        reasons.append(
            f"{fault}: all worked again {found.works_again_s:.1f} s after its return, not within "
            f"{MAX_RECOVERY_S:.0f} s"
        )
    reasons += [
        f"{fault}: {name} grew by {one.grew_mb:.0f} MB, more than {MAX_GROWTH_MB:.0f} MB"
        for name, one in found.memory.items()
        if one.grew_mb > MAX_GROWTH_MB
    ]
    if missed := found.pictures.missed_uncounted:
        reasons.append(f"{fault}: {missed} pictures were missed and no counter of ingest counted them")
    return reasons


def last_line(reasons: Sequence[str]) -> str:
    """Return the line that says whether a run held."""
    return f"NOT held: {'; '.join(reasons)}" if reasons else "held"
