import numpy as np
import pytest
from PIL import Image, ImageDraw

from overt.cli.scene import HEIGHT_PX, SECONDS, WALKS, WIDTH_PX, Figure, Walk
from overt.cli.walkthrough import Sizes, draw_frame, draw_square, head_px, turned

SAMPLES = {walk.figure.sample for walk in WALKS}


def drawn_people() -> dict[str, Sizes]:
    """Flat stand-ins of the right size: no photograph is needed to test the drawing."""
    people: dict[str, Sizes] = {}
    for walk in WALKS:
        full = Image.new("RGBA", (walk.figure.head[0] * 2, walk.figure.head[1] * 4), (200, 30, 30, 255))
        people[walk.figure.sample] = {step: full.reduce(step) if step > 1 else full for step in (8, 4, 2, 1)}
    return people


def test_the_same_moment_is_drawn_the_same_twice() -> None:
    square, people = draw_square(), drawn_people()
    assert draw_frame(square, people, 6.4).tobytes() == draw_frame(square, people, 6.4).tobytes()


def test_a_frame_has_the_size_of_the_clip_and_the_last_one_is_empty() -> None:
    square, people = draw_square(), drawn_people()
    assert draw_frame(square, people, 6.4).size == (WIDTH_PX, HEIGHT_PX)
    last = draw_frame(square, people, SECONDS - 0.04)
    assert draw_frame(square, people, 12.5).getpixel((800, 540)) != last.getpixel((800, 540))
    red, green, _ = np.asarray(last, np.int16).mean(axis=(0, 1))
    assert abs(red - green) < 20  # the stand-ins are red


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: f"{walk.figure.sample}@{walk.starts_s}")
def test_everybody_grows_all_the_way(walk: Walk) -> None:
    sizes = [head_px(walk, walk.starts_s + (walk.ends_s - walk.starts_s) * step / 20) for step in range(21)]
    assert sizes == sorted(sizes)
    assert sizes[0] == pytest.approx(walk.head_px_from)
    assert sizes[-1] == pytest.approx(walk.head_px_to)


def test_several_are_in_view_at_once_and_the_listed_man_is_never_alone_in_the_clip() -> None:
    at_once = max(
        sum(walk.starts_s <= moment / 10 < walk.ends_s for walk in WALKS)
        for moment in range(int(SECONDS * 10))
    )
    assert at_once >= 3
    assert len(SAMPLES) == 4


def test_what_lies_below_the_picture_is_not_drawn() -> None:
    sizes = {step: Image.new("RGBA", (100 // step, 400 // step)) for step in (8, 4, 2, 1)}
    assert turned(sizes, 1.0, 0.0, max_height=150).size == (100, 150)


def test_outlines_hold_their_heads() -> None:
    for figure in {walk.figure.sample: walk.figure for walk in WALKS}.values():
        assert inside(figure)


def inside(figure: Figure) -> bool:
    mask = Image.new("1", (3_000, 3_000))
    ImageDraw.Draw(mask).polygon(figure.outline, fill=1)
    return bool(mask.getpixel(figure.head))
