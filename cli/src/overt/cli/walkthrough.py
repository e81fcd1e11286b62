"""Draws the demo's clip: real photographs of public figures, cut out and walked through a drawn square."""

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from overt.cli.scene import HEIGHT_PX, RATE_HZ, SECONDS, WALKS, WIDTH_PX, Figure, Walk

GRAINS = 4
Sizes = Mapping[int, Image.Image]


def compose(samples: Mapping[str, Path], clip: Path, progress: Callable[[int, int], None]) -> None:
    """Write the clip as H.264 in MP4; `progress(done, total)` is called after each frame.

    The same samples give the same pictures: nothing here is random. The file appears whole or not at all.
    """
    figures = {walk.figure.sample: sizes_of(walk.figure, samples[walk.figure.sample]) for walk in WALKS}
    square = draw_square()
    frames = int(SECONDS * RATE_HZ)
    partial = clip.with_suffix(".partial.mp4")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "23", "g": "50"}
        for number in range(frames):
            picture = draw_frame(square, figures, number / RATE_HZ)
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")):
                container.mux(packet)
            progress(number + 1, frames)
        for packet in stream.encode(None):
            container.mux(packet)
    partial.replace(clip)


def sizes_of(figure: Figure, photograph: Path) -> Sizes:
    """Return the cut-out at full size, a half, a quarter and an eighth, by how much smaller it is.

    Each picture is drawn from the next larger size, so nothing shimmers and little is read.
    """
    person = cut_out(figure, photograph)
    return {shrink: person.reduce(shrink) if shrink > 1 else person for shrink in (8, 4, 2, 1)}


def cut_out(figure: Figure, photograph: Path) -> Image.Image:
    """Return the person as RGBA: the outline filled, its edge softened by about a hundredth of the head."""
    picture = Image.open(photograph).convert("RGB")
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon(figure.outline, fill=255)
    soft_px = max(figure.head_height / 60, 1.0)
    # Softened inwards only: a halo of the old background would give the cut-out away.
    mask = mask.filter(ImageFilter.GaussianBlur(soft_px)).point(lambda value: max(0, 2 * value - 255))
    picture.putalpha(mask)
    return with_legs(picture, figure)


def with_legs(person: Image.Image, figure: Figure) -> Image.Image:
    """Return the person on a taller canvas, standing on two legs about six heads below the middle of the face."""
    feet = figure.head[1] + 6 * figure.head_height
    standing = Image.new("RGBA", (person.width, max(feet, person.height)), (*figure.legs_rgb, 0))
    left, right = figure.legs
    middle, gap, hem = (left + right) // 2, figure.head_height // 14, (right - left) // 8
    pen = ImageDraw.Draw(standing)
    for inner, outer in ((middle - gap // 2, left), (middle + gap // 2, right)):
        shoe = outer + hem if outer < inner else outer - hem
        top = person.height - figure.head_height // 4
        pen.polygon(((inner, top), (outer, top), (shoe, feet), (inner, feet)), fill=(*figure.legs_rgb, 255))
    standing.alpha_composite(person)
    return standing


def draw_square() -> Image.Image:
    """Return the empty scene: a paved square, a wall with openings, a canopy, late light from the left."""
    picture = Image.new("RGB", (WIDTH_PX, HEIGHT_PX))
    pen = ImageDraw.Draw(picture)
    horizon = 520
    for y in range(HEIGHT_PX):
        sky, floor = (188 - y // 8, 196 - y // 9, 204 - y // 10), (128 + (y - horizon) // 14,) * 3
        pen.line([(0, y), (WIDTH_PX, y)], fill=sky if y < horizon else floor)
    pen.rectangle((0, 150, WIDTH_PX, horizon), fill=(150, 146, 138))
    for left in range(60, WIDTH_PX, 270):
        pen.rectangle((left, 210, left + 150, horizon), fill=(96, 104, 112))
        pen.rectangle((left + 8, 218, left + 142, horizon), fill=(78, 90, 102))
        pen.line([(left + 75, 218), (left + 75, horizon)], fill=(110, 116, 122), width=5)
    pen.rectangle((0, 120, WIDTH_PX, 152), fill=(112, 104, 98))
    middle = WIDTH_PX // 2
    for step in range(-30, 31):
        pen.line([(middle + step * 60, horizon), (middle + step * 330, HEIGHT_PX)], fill=(118, 118, 116))
    for row in range(1, 12):
        y = horizon + round((HEIGHT_PX - horizon) * (row / 11) ** 2)
        pen.line([(0, y), (WIDTH_PX, y)], fill=(118, 118, 116))
    return picture.filter(ImageFilter.GaussianBlur(2.0))


def draw_frame(square: Image.Image, figures: Mapping[str, Sizes], at_s: float) -> Image.Image:
    """Return the picture at `at_s` seconds: everybody in view, the nearest in front, with sensor noise."""
    picture = square.copy()
    walking = [walk for walk in WALKS if walk.starts_s <= at_s < walk.ends_s]
    for walk in sorted(walking, key=lambda walk: head_px(walk, at_s)):
        place(picture, figures[walk.figure.sample], walk, at_s)
    return with_light_and_noise(picture, at_s)


def head_px(walk: Walk, at_s: float) -> float:
    """Return the head's height: someone who walks at a steady pace grows as one over the distance left."""
    share = (at_s - walk.starts_s) / (walk.ends_s - walk.starts_s)
    near, far = 1 / walk.head_px_to, 1 / walk.head_px_from
    return 1 / (far + (near - far) * share)


def place(picture: Image.Image, sizes: Sizes, walk: Walk, at_s: float) -> None:
    """Draw one person into `picture`: size, sway, turn, shade and blur as the walk says at `at_s`."""
    share = (at_s - walk.starts_s) / (walk.ends_s - walk.starts_s)
    size = head_px(walk, at_s)
    scale = size / walk.figure.head_height
    angle = walk.turn * math.sin(2 * math.pi * (at_s - walk.starts_s) / 3.5)
    sway = 0.03 * size * math.sin(2 * math.pi * 1.9 * at_s)
    eye_line = 470 - 0.35 * size  # the camera looks slightly down: whoever is near stands higher in view
    left = WIDTH_PX * (walk.x_from + (walk.x_to - walk.x_from) * share) - walk.figure.head[0] * scale
    top = eye_line - walk.figure.head[1] * scale + abs(sway)
    body = turned(sizes, scale, angle, max_height=HEIGHT_PX - round(top))
    if walk.dim:
        body = shaded(body, 1 - walk.dim * math.sin(math.pi * share) ** 2)
    if walk.blur_px and share > 0.85:
        body = body.filter(ImageFilter.GaussianBlur(walk.blur_px * (share - 0.85) / 0.15))
    picture.paste(body, (round(left), round(top)), body)


def turned(sizes: Sizes, scale: float, angle: float, *, max_height: int) -> Image.Image:
    """Return the person at `scale`, turned: narrower by the cosine, the far side smaller in perspective.

    What would lie more than `max_height` below the top is left out: it is outside the picture.
    """
    shrink = next(step for step in sizes if step * scale <= 1 or step == 1)
    person = sizes[shrink]
    width, height = person.width, person.height
    lean, inset = abs(angle) * 0.06 * height, (1 - math.cos(angle)) * width / 2
    left_in, right_in = (lean, 0.0) if angle > 0 else (0.0, lean)
    seen = min(1.0, max_height / (height * shrink * scale))
    left_foot = -left_in + seen * (height + 2 * left_in)
    right_foot = -right_in + seen * (height + 2 * right_in)
    quad = (-inset, -left_in, -inset, left_foot, width + inset, right_foot, width + inset, -right_in)
    target = (round(width * shrink * scale), max(round(height * shrink * scale * seen), 1))
    return person.transform(target, Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)


def shaded(person: Image.Image, light: float) -> Image.Image:
    """Return the person under `light` times the light, a little bluer when darker."""
    red, green, blue, alpha = person.split()
    blue_light = min(light * 1.06, 1.0)
    return Image.merge(
        "RGBA",
        (
            red.point(lambda value: value * light),
            green.point(lambda value: value * light),
            blue.point(lambda value: value * blue_light),
            alpha,
        ),
    )


def with_light_and_noise(picture: Image.Image, at_s: float) -> Image.Image:
    """Return the picture under a slowly passing cloud, with the grain of a small sensor."""
    light = 1.0 - 0.12 * (0.5 - 0.5 * math.cos(2 * math.pi * at_s / 9.0))
    lit = picture.point(lambda value: value * light)
    grain = _grain()[int(at_s * RATE_HZ) % GRAINS]
    return ImageChops.add(lit, grain, offset=-8)


@cache
def _grain() -> list[Image.Image]:
    random = np.random.default_rng(7)
    return [
        Image.merge("RGB", (plane,) * 3)
        for plane in (
            Image.fromarray(
                random.normal(8, 1.5, (HEIGHT_PX, WIDTH_PX)).clip(0, 16).astype(np.uint8),
            )
            for _ in range(GRAINS)
        )
    ]
