"""Folds the matches of one watchlist entry into alerts: pure, so the loop, a stream engine and a test share it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Match:
    """What the fold needs of one match: no picture, no template. `captured_at_ns` is UNIX time, UTC."""

    deployment_id: str
    entry_id: str
    camera_id: str
    track_id: str
    shot_number: int
    probe_hash: str
    captured_at_ns: int
    similarity: float

    @property
    def identities(self) -> frozenset[str]:
        """Digests by which a redelivered match is known again: of the probe, and of the shot.

        Both, because detect may crash and see the same face as another track, and may cut the same shot a
        second time with other bytes. Digests, because the shots' cameras are nobody's business later.
        """
        probe = _digest("probe", self.deployment_id, self.entry_id, self.probe_hash)
        shot = _digest("shot", self.deployment_id, self.camera_id, self.track_id, str(self.shot_number))
        return frozenset((probe, shot))


@dataclass(frozen=True, slots=True)
class Folded:
    """One alert as the fold sees it. `similarity` is that of the probe shown."""

    alert_id: str
    first_at_ns: int
    last_at_ns: int
    similarity: float
    matches: int
    seen: frozenset[str]
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Raised:
    """A new alert."""

    alert: Folded


@dataclass(frozen=True, slots=True)
class Strengthened:
    """The alert got a better probe: its pictures are to be replaced."""

    alert: Folded


@dataclass(frozen=True, slots=True)
class Counted:
    """The alert counts one match more and shows what it showed."""

    alert: Folded


Change = Raised | Strengthened | Counted


def fold(state: Sequence[Folded], match: Match, window_ns: int) -> tuple[Change, ...]:
    """Return what `match` changes in the alerts of its deployment and entry: nothing or one change.

    A match belongs to the nearest alert whose span it lies in or within `window_ns` of, before or after;
    it stretches that span. Else it raises a new alert. A match that its alert has seen changes nothing. A
    better probe is shown until somebody has judged: what was judged must stay what was seen.

    Any order and any repetition give the same alerts as long as matches that belong together arrive before
    the gaps between them are filled by later ones; alerts that turn out to touch are never merged, since
    people may have judged them.
    """
    near = [alert for alert in state if _distance_ns(alert, match) <= window_ns]
    if not near:
        return (Raised(_first(match)),)
    alert = min(near, key=lambda alert: (_distance_ns(alert, match), alert.first_at_ns, alert.alert_id))
    if alert.seen & match.identities:
        return ()
    stretched = replace(
        alert,
        first_at_ns=min(alert.first_at_ns, match.captured_at_ns),
        last_at_ns=max(alert.last_at_ns, match.captured_at_ns),
        matches=alert.matches + 1,
        seen=alert.seen | match.identities,
    )
    if match.similarity > alert.similarity and not alert.judged:
        return (Strengthened(replace(stretched, similarity=match.similarity)),)
    return (Counted(stretched),)


def apply(state: Sequence[Folded], changes: Sequence[Change]) -> tuple[Folded, ...]:
    """Return `state` with `changes` made."""
    alerts = {alert.alert_id: alert for alert in state}
    alerts.update({change.alert.alert_id: change.alert for change in changes})
    return tuple(alerts.values())


def alert_id_of(match: Match) -> str:
    """Return the id of the alert that `match` raises: the same again when the match is delivered again.

    The time is part of it: a recording that is played again gives the same probe, and another alert.
    """
    time = str(match.captured_at_ns)
    return _digest("alert", match.deployment_id, match.entry_id, match.probe_hash, time)[:32]


def _first(match: Match) -> Folded:
    return Folded(
        alert_id=alert_id_of(match),
        first_at_ns=match.captured_at_ns,
        last_at_ns=match.captured_at_ns,
        similarity=match.similarity,
        matches=1,
        seen=match.identities,
    )


def _distance_ns(alert: Folded, match: Match) -> int:
    """How far outside the alert's span the match was captured; 0 within."""
    return max(alert.first_at_ns - match.captured_at_ns, match.captured_at_ns - alert.last_at_ns, 0)


def _digest(*parts: str) -> str:
    # Identifiers have no line breaks, so no two lists of parts give the same text.
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
