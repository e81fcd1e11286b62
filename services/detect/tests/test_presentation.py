"""What the presentation check says of a track goes with its shots, and changes nothing else of them."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from overt.contracts.messages import FaceFound, Presentation
from overt.detect.finder import find_together
from overt.detect.view import CameraView
from overt.detect.zones import Zone
from overt.recognition import presentation
from overt.recognition.presentation import PresentationOptions

from .conftest import DrawnFace, World


def approach(world: World) -> list[FaceFound]:
    """What is handed on of a face that comes nearer for six seconds."""
    return [
        one
        for side in np.linspace(50, 300, 150)
        for one in world.watch(1, [DrawnFace(500 - side / 2, 300 - side / 2, side)])
    ]


def test_a_shot_says_how_many_looks_the_finding_rests_on_and_a_first_one_has_too_few(watched: World) -> None:
    said = [one.shot.presentation for one in approach(watched)]
    assert said[0] is None
    assert said[-1] is not None
    assert said[-1].looks >= PresentationOptions().min_looks
    assert said[-1].flagged is False


def test_the_finding_changes_nothing_else_of_what_is_handed_on(
    make_order: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for flagged in (True, False):
        monkeypatch.setattr(
            presentation.PresentationCheck,
            "finding",
            lambda _, moire=flagged: presentation.Finding(9, flat=None, moire=moire),
        )
        world = World()
        world.publish(make_order())  # type: ignore[arg-type]
        found.append(approach(world))
    with_flag, without = found
    assert all(one.shot.presentation == Presentation(9, flagged=True) for one in with_flag)
    assert [_bare(one) for one in with_flag] == [_bare(one) for one in without]


def _bare(found: FaceFound) -> FaceFound:
    return msgspec.structs.replace(found, shot=msgspec.structs.replace(found.shot, presentation=None))


def test_a_track_that_ended_leaves_no_check_behind(watched: World) -> None:
    view = CameraView(Zone(), watched.options, lambda: "t")
    for faces, frames, left in (((DrawnFace(200, 200),), 10, 1), ((), 50, 0)):
        watched.finder.faces = faces
        for frame in watched._frames(frames):
            shown = view.show(frame)
            assert shown is not None
            view.follow(shown, find_together(watched.finder, [shown])[0])
        assert len(view._checks) == left
