"""The looks at each face in view, in memory only, for the seconds it is there: what is fused of them."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from overt.contracts.messages import FaceFound
from overt.recognition.fusion import fuse_track

# As long as detect remembers a silent camera: after that nobody on it is still the same track.
SILENCE_S = 10.0
# Far more than are in view at once; with five looks of 512 values each, 20 MB.
MAX_TRACKS = 2048


@dataclass(slots=True)
class _Track:
    """The looks at one face by their numbers, five at most (see Shot.number): weight and template."""

    heard_at_s: float
    looks: dict[int, tuple[float, NDArray[np.float32]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackKey:
    """Names a track: an id means something within one camera only, and under one order."""

    deployment_id: str
    camera_id: str
    track_id: str

    @classmethod
    def of(cls, face: FaceFound) -> "TrackKey":
        """Return the track of a look."""
        return cls(face.deployment_id, face.shot.camera_id, face.shot.track_id)


class Tracks:
    """Fuses looks of one track. Bounded in number and time. Not safe to share between threads.

    Looks are kept instead of their sum: one that is delivered again is not counted twice, and gives what it
    gave the first time, as their numbers rise: Kafka keeps a camera's order.
    """

    def __init__(
        self, monotonic_s: Callable[[], float], *, silence_s: float = SILENCE_S, most: int = MAX_TRACKS
    ) -> None:
        self._monotonic_s = monotonic_s
        self._silence_s = silence_s
        self._most = most
        # The one longest without a look is the first.
        self._tracks: OrderedDict[TrackKey, _Track] = OrderedDict()

    @property
    def held(self) -> int:
        """How many tracks are remembered."""
        return len(self._tracks)

    def add(self, face: FaceFound, template_D: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Remember one look; return it fused with those before it, None if there are none of the same face."""
        now_s, key = self._monotonic_s(), TrackKey.of(face)
        track = self._tracks.setdefault(key, _Track(now_s))
        self._tracks.move_to_end(key)
        track.heard_at_s = now_s
        # A look of no quality at all still was a look.
        track.looks.setdefault(face.shot.number, (max(float(face.shot.quality), 1.0), template_D.copy()))
        while len(self._tracks) > self._most:
            self._tracks.popitem(last=False)
        so_far = [track.looks[number] for number in sorted(track.looks) if number <= face.shot.number]
        return fuse_track(np.stack([row for _, row in so_far]), np.array([weight for weight, _ in so_far]))

    def forget(self, is_lawful: Callable[[TrackKey], bool]) -> None:
        """Drop every track that was silent for too long or is no longer covered by an order."""
        now_s = self._monotonic_s()
        for key, track in list(self._tracks.items()):
            if now_s - track.heard_at_s > self._silence_s or not is_lawful(key):
                del self._tracks[key]
