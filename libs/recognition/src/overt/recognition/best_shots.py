"""Decides which looks at each face are sent on: soon a first one, then only clearly better ones, and few."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class BestShotLimits:
    """When a shot is due.

    first_window_ns: the best look of this time is the first shot. At 25, 10 or 5 pictures a second it goes
    out within 200 ms of the first good look. next_window_ns: the same for each better one.
    max_shots: per track. min_gain: quality points that count as better at all; while shots are left, the
    rest of the scale is shared among them, so that a face that comes nearer does not use them up far away.
    max_tracks: held at once; past it the track that was longest without a good look is given up.
    """

    first_window_ns: int = 120_000_000
    next_window_ns: int = 300_000_000
    max_shots: int = 5
    min_gain: int = 6
    best_quality: int = 100
    max_tracks: int = 256


@dataclass(frozen=True, slots=True)
class DueShot(Generic[S]):
    """A shot to be sent now."""

    track_id: str
    quality: int
    shot: S


@dataclass(slots=True)
class _Track(Generic[S]):
    sent: int = 0
    sent_quality: int = 0
    opened_ns: int = 0
    offered_ns: int = 0
    pending: DueShot[S] | None = field(default=None)


class BestShots(Generic[S]):
    """One camera's choice of shots. Pure: time comes in, nothing goes out but return values.

    At most one shot a track waits at any time. Not safe to share between threads.
    """

    def __init__(self, limits: BestShotLimits | None = None) -> None:
        self._limits = limits or BestShotLimits()
        self._tracks: dict[str, _Track[S]] = {}

    @property
    def held(self) -> int:
        """How many tracks are remembered."""
        return len(self._tracks)

    def wants(self, track_id: str, quality: int) -> bool:
        """Tell whether a shot of this quality would be kept: to save the work of making one."""
        track = self._tracks.get(track_id)
        if track is None:
            return True
        if track.sent >= self._limits.max_shots:
            return False
        if track.pending is not None:
            return quality > track.pending.quality
        return quality >= self._bar(track)

    def offer(self, track_id: str, quality: int, pts_ns: int, shot: S) -> None:
        """Offer one look that is good enough to be searched for (see `quality.probe_ok`)."""
        wanted = self.wants(track_id, quality)
        track = self._tracks.pop(track_id, None) or _Track[S]()
        self._tracks[track_id] = track  # back at the end: the first is the one longest without a look
        track.offered_ns = pts_ns
        if wanted:
            if track.pending is None:
                track.opened_ns = pts_ns
            track.pending = DueShot(track_id, quality, shot)
        while len(self._tracks) > self._limits.max_tracks:
            del self._tracks[next(iter(self._tracks))]

    def due(self, pts_ns: int) -> tuple[DueShot[S], ...]:
        """Return the shots whose window is over at `pts_ns`. To be called after each picture's offers."""
        return tuple(
            self._send(track, track.pending)
            for track in self._tracks.values()
            if track.pending is not None and pts_ns - track.opened_ns >= self._window_ns(track)
        )

    def close(self, track_ids: Iterable[str]) -> tuple[DueShot[S], ...]:
        """Forget tracks that are over; what still waited of them is returned to be sent."""
        closed = [self._tracks.pop(track_id) for track_id in track_ids if track_id in self._tracks]
        return tuple(track.pending for track in closed if track.pending is not None)

    def flush(self) -> tuple[DueShot[S], ...]:
        """Forget all tracks, at the end of capture; what still waited is returned to be sent."""
        return self.close(list(self._tracks))

    def _send(self, track: _Track[S], pending: DueShot[S]) -> DueShot[S]:
        track.sent += 1
        track.sent_quality = pending.quality
        track.pending = None
        return pending

    def _window_ns(self, track: _Track[S]) -> int:
        return self._limits.first_window_ns if track.sent == 0 else self._limits.next_window_ns

    def _bar(self, track: _Track[S]) -> int:
        """Return the quality from which a look is clearly better than what was sent."""
        if track.sent == 0:
            return 0
        left = self._limits.max_shots - track.sent
        share = (self._limits.best_quality - track.sent_quality) // (left + 1)
        return track.sent_quality + max(self._limits.min_gain, share)
