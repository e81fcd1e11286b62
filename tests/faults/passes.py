"""The labelled recording: the demo's clip slowed down, and who is in view when."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av

from overt.cli.scene import MAN_ARMS_FOLDED, SECONDS, WALKS

# The man on the list, by the script that draws the clip.
(THE_WALK,) = [walk for walk in WALKS if walk.figure is MAN_ARMS_FOLDED]
# The clip has a key frame every 2 s; from this one on little happens before the man comes.
CUT_AT_S = 4.0
# He is recognised from the time on at which his head is large enough; measured undisturbed, then rounded up.
TOO_SMALL_S = 0.25


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that cameras play round and round. Times are seconds from its beginning."""

    path: Path
    cycle_s: float
    in_s: float
    out_s: float

    @property
    def window_s(self) -> float:
        """The alert window that goes with it: passes are further apart, and nothing within one is."""
        return 0.8 * (self.cycle_s - (self.out_s - self.in_s))


@dataclass(frozen=True, slots=True)
class Pass:
    """Somebody on the list is in view of a camera, in UNIX seconds."""

    camera_id: str
    deployment_id: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Playing:
    """A camera played from the recording's beginning from one moment to another, in UNIX seconds."""

    camera_id: str
    deployment_id: str
    from_s: float
    to_s: float


def slowed(clip: Path, slower: int, folder: Path) -> Recording:
    """Write the demo's clip from its second 4 on, `slower` times as slow, without coding it anew.

    A pass must be long compared with a restart: live pictures that nobody is there for are lost by design.
    """
    path = folder / f"slowed-{slower}.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        before = source.streams.video[0]
        after = target.add_stream_from_template(before)
        assert before.time_base is not None
        begins = int(CUT_AT_S / before.time_base)
        for packet in source.demux(before):
            if packet.pts is None or packet.dts is None or packet.pts < begins:
                continue
            packet.pts, packet.dts = (packet.pts - begins) * slower, (packet.dts - begins) * slower
            packet.duration = (packet.duration or 0) * slower
            packet.stream = after
            target.mux(packet)
    in_s = THE_WALK.starts_s + TOO_SMALL_S - CUT_AT_S
    return Recording(
        path, (SECONDS - CUT_AT_S) * slower, in_s * slower, (THE_WALK.ends_s - CUT_AT_S) * slower
    )


def passes(recording: Recording, played: Sequence[Playing]) -> Sequence[Pass]:
    """Return every pass, whole or cut short by the end of what was played, in order of time."""
    found = []
    for stretch in played:
        begins_s = stretch.from_s
        while begins_s + recording.in_s < stretch.to_s:
            ends_s = min(begins_s + recording.out_s, stretch.to_s)
            found.append(Pass(stretch.camera_id, stretch.deployment_id, begins_s + recording.in_s, ends_s))
            begins_s += recording.cycle_s
    return sorted(found, key=lambda one: (one.from_s, one.camera_id))


def appearances(seen: Sequence[Pass], window_s: float) -> Sequence[Sequence[Pass]]:
    """Group the passes that one alert may cover: same order and camera, no further apart than the window.

    A camera that was restarted begins its recording anew, so the man may come back sooner than he should.
    """
    groups: list[list[Pass]] = []
    for one in sorted(seen, key=lambda one: (one.camera_id, one.deployment_id, one.from_s)):
        last = groups[-1][-1] if groups else None
        same = last is not None and (last.camera_id, last.deployment_id) == (one.camera_id, one.deployment_id)
        if last is not None and same and one.from_s - last.to_s <= window_s:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def undisturbed_s(one: Pass, disturbed: Sequence[tuple[float, float]]) -> float:
    """Return the longest time within a pass in which nothing was disturbed, in seconds."""
    cuts = sorted((max(a, one.from_s), min(b, one.to_s)) for a, b in disturbed)
    edges = [(one.from_s, one.from_s), *((a, b) for a, b in cuts if a < b), (one.to_s, one.to_s)]
    longest_s, free_from_s = 0.0, one.from_s
    for (_, until_s), (next_s, _) in pairwise(edges):
        free_from_s = max(free_from_s, until_s)
        longest_s = max(longest_s, next_s - free_from_s)
    return longest_s
