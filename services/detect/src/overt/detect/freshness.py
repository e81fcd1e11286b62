"""Which frames of a batch are worth looking at when the pipeline is behind: fresh before complete."""

from collections.abc import Mapping, Sequence
from typing import Literal

from overt.contracts.messages import FrameCaptured

Skip = Literal["stale", "superseded"]


def is_stale(frame: FrameCaptured, now_ns: int, budget_ns: int) -> bool:
    """Whether a live frame was read longer ago than the budget. Files are never stale."""
    return frame.live and now_ns - frame.read_at_ns > budget_ns


def skips(frames: Sequence[FrameCaptured], now_ns: int, budget_ns: int) -> Mapping[int, Skip]:
    """Return the indices of the frames to pass over, and why.

    A camera without a stale frame is not behind: all its frames are looked at, in order. A camera with one
    is: only its newest frame is looked at, if that one is fresh, so that it catches up at once instead of
    staying a whole budget late for ever.
    """
    found: dict[int, Skip] = {}
    behind: set[str] = set()
    newest: dict[str, int] = {}
    for index, frame in enumerate(frames):
        newest[frame.camera_id] = index
        if is_stale(frame, now_ns, budget_ns):
            behind.add(frame.camera_id)
            found[index] = "stale"
    for index, frame in enumerate(frames):
        if frame.camera_id in behind and index not in found and index != newest[frame.camera_id]:
            found[index] = "superseded"
    return found
