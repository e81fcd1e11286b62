"""Simulates a camera that looks at a picture of a face: a flat sheet or screen, moved by hand before a scene.

Physical in kind, simple in degree: a pinhole camera, a plane in perspective, ink dots or a screen's stripes
attenuated by lens and pixel, one colour a pixel (Bayer), noise, H.264. Nobody recorded an attack for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.float32]
Random = np.random.Generator
Pictures = Iterable[Image.Image]

RATE = 12
# A camera of 60 degrees across: focal length in picture widths.
FOCAL = 0.87
# Half of what a lens lets through is gone at this many cycles a pixel.
LENS_CYCLES = 0.45
READ_NOISE, SHOT_NOISE = 1.5, 0.12
# A press photograph's face: the eyes are 0.17 of the picture's width apart in deep-funnelled LFW.
EYES_IN_PICTURE = 0.17


@dataclass(frozen=True, slots=True)
class Species:
    """One kind of attack instrument and how it is held (ISO/IEC 30107-3: a PAI species).

    turn_deg: how far it is turned out of its plane, in either direction. dots: of the ink across the picture's
    width, 0 for none that is seen. stripes: pixels of the screen across the picture's width, 0 for paper.
    bend: how far the sheet's middle stands out, in its widths.
    """

    turn_deg: float
    dots: float = 0.0
    stripes: float = 0.0
    bend: float = 0.0


SPECIES: Mapping[str, Species] = {
    "photo print, held still": Species(turn_deg=3),
    "photo print, moved by hand": Species(turn_deg=10),
    "photo print, turned about": Species(turn_deg=40),
    "photo print, bent, turned about": Species(turn_deg=40, bend=0.18),
    "coarse print (dots), moved by hand": Species(turn_deg=10, dots=170),
    "screen, fine pixels, moved by hand": Species(turn_deg=10, stripes=1080),
    "screen, coarse pixels, moved by hand": Species(turn_deg=10, stripes=330),
}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the sheet's middle is, in its own widths and the camera's axes, and how it is turned."""

    place_3: Floats
    turn_33: Floats


def waves(random: Random, count: int) -> Callable[[float], Floats]:
    """Return `count` smooth movements within -1 to 1, each of three sine waves as slow as a hand's."""
    rates_C3 = random.uniform(0.15, 0.9, (count, 3))
    phases_C3 = random.uniform(0, 2 * np.pi, (count, 3))
    weights_3 = np.array([0.6, 0.3, 0.1])
    return lambda at_s: np.sin(2 * np.pi * rates_C3 * at_s + phases_C3) @ weights_3


def poses(species: Species, random: Random, frames: int, *, eyes_px: float, width_px: int) -> Iterator[Pose]:
    """Yield the sheet's pose for each frame: its bearer walks towards the camera by a quarter of the way."""
    move = waves(random, 5)
    end = FOCAL * width_px * EYES_IN_PICTURE / eyes_px
    side, up = random.uniform(-0.12, 0.12), random.uniform(-0.08, 0.05)
    for number in range(frames):
        away = end * (1.25 - 0.25 * number / frames)
        yaw, pitch, roll, left, down = move(number / RATE)
        place_3 = np.array([(side + 0.02 * left) * away, (up + 0.01 * down) * away, away])
        turns = np.radians([species.turn_deg * yaw, species.turn_deg * pitch, 4 * roll])
        yield Pose(place_3, rotation(*turns))


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Return the 3 x 3 rotation about the vertical, then the horizontal, then the line of sight (radians)."""
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    product: Floats = about_z @ about_x @ about_y
    return product


def film(
    pictures: Pictures, species: Species, random: Random, *, scene: NDArray[np.uint8], frames: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield what the camera sees: one of `pictures` after the other on the sheet, before the scene. RGB, H x W x 3."""
    height, width = scene.shape[:2]
    eyes_px = float(random.uniform(20, 55))
    way = poses(species, random, frames, eyes_px=eyes_px, width_px=width)
    for picture, pose in zip(pictures, way, strict=False):
        picture_SSC = np.asarray(_shown(picture, species), np.float32) / np.float32(255)
        # The scene was seen by a camera once: only what is around the sheet goes through the sensor.
        window = _around(pose, height, width)
        frame_HWC = scene.copy()
        sheet = _on_sheet(pose, species.bend, (width, height), window)
        seen_HWC = _painted(picture_SSC, sheet, species, scene[window])
        frame_HWC[window] = _sensor(seen_HWC, random)
        yield frame_HWC


def _shown(picture: Image.Image, species: Species) -> Image.Image:
    """Return the square picture as paper or screen give it: ink has no black and little colour."""
    square = picture.convert("RGB")
    if species.stripes:
        return square
    faded = np.asarray(square.filter(ImageFilter.GaussianBlur(0.5)), np.float64) * 0.82 + 28
    return Image.fromarray(faded.clip(0, 255).astype(np.uint8))


def _around(pose: Pose, height: int, width: int) -> tuple[slice, slice]:
    """Return rows and columns of the camera's picture that a sheet in this place needs, beginning evenly."""
    x, y, away = pose.place_3
    focal, reach = FOCAL * width, 0.62 * FOCAL * width / away
    top, left = (
        max(int(at - reach), 0) // 2 * 2
        for at in (height / 2 + focal * y / away, width / 2 + focal * x / away)
    )
    bottom, right = int(height / 2 + focal * y / away + reach), int(width / 2 + focal * x / away + reach)
    return slice(top, min(bottom, height)), slice(left, min(right, width))


def _on_sheet(
    pose: Pose, bend: float, size_wh: tuple[int, int], window: tuple[slice, slice]
) -> tuple[Floats, Floats]:
    """Return for each pixel of the camera where on the sheet it looks: 0 to 1 within it, both ways.

    A bent sheet is a parabola standing out by `bend`; its points are found by three steps from the plane's.
    """
    width, height = size_wh
    focal = FOCAL * width
    rows, columns = np.mgrid[window].astype(np.float32)
    rays_HW3 = np.dstack([(columns - width / 2) / focal, (rows - height / 2) / focal, np.ones_like(rows)])
    rays_HW3 = rays_HW3 @ pose.turn_33.astype(np.float32)
    origin_3 = (-pose.place_3 @ pose.turn_33).astype(np.float32)
    out_HW = np.zeros_like(rows)
    for _ in range(4 if bend else 1):
        length_HW = (out_HW - origin_3[2]) / rays_HW3[..., 2]
        across_HW = origin_3[0] + length_HW * rays_HW3[..., 0]
        # Towards the camera is negative; the rims stay where they were.
        out_HW = -bend * np.clip(1 - 4 * across_HW**2, 0, 1)
    down_HW = origin_3[1] + length_HW * rays_HW3[..., 1]
    return across_HW + 0.5, down_HW + 0.5


def _painted(
    picture_SSC: Floats, sheet: tuple[Floats, Floats], species: Species, scene_HWC: NDArray[np.uint8]
) -> Floats:
    """Return the scene with the sheet before it, 0 to 255."""
    (across_HW, down_HW), seen_HWC = sheet, scene_HWC.astype(np.float32)
    inside_HW = (across_HW >= 0) & (across_HW < 1) & (down_HW >= 0) & (down_HW < 1)
    colours_HWC = _bilinear(picture_SSC, across_HW, down_HW)
    if species.dots:
        colours_HWC = colours_HWC + _dots(colours_HWC, across_HW * species.dots, down_HW * species.dots)
    if species.stripes:
        colours_HWC = colours_HWC * _stripes(across_HW * species.stripes, down_HW * species.stripes)
    seen_HWC[inside_HW] = 255 * colours_HWC[inside_HW].clip(0, 1)
    return seen_HWC


def _bilinear(picture_SSC: Floats, x_HW: Floats, y_HW: Floats) -> Floats:
    side = picture_SSC.shape[0]
    x, y = (np.clip(axis * side - 0.5, 0, side - 1.01) for axis in (x_HW, y_HW))
    column, row = x.astype(int), y.astype(int)
    right, below = (x - column)[..., None], (y - row)[..., None]
    upper = picture_SSC[row, column] * (1 - right) + picture_SSC[row, column + 1] * right
    lower = picture_SSC[row + 1, column] * (1 - right) + picture_SSC[row + 1, column + 1] * right
    mixed: Floats = upper * (1 - below) + lower * below
    return mixed


def _passed(phase_HW: Floats) -> Floats:
    """Return how much of a wave of this phase (cycles) lens and pixel let through, 0 to 1.

    The wave is then taken at the pixel's middle: what is finer than two pixels becomes moiré, as it does on
    a sensor; what is finer than the lens resolves is gone before.
    """
    down, across = np.gradient(phase_HW)
    lens = np.exp(-np.log(2) * (down**2 + across**2) / LENS_CYCLES**2)
    aperture = np.sinc(across) * np.sinc(down)
    passed: Floats = lens * aperture
    return passed


def _dots(colours_HWC: Floats, x_HW: Floats, y_HW: Floats) -> Floats:
    """Return the ripple of a printer's dots at 45 degrees, strongest in the middle tones."""
    ripple_HW = np.zeros_like(x_HW)
    for phase_HW in ((x_HW + y_HW) / np.sqrt(2), (x_HW - y_HW) / np.sqrt(2)):
        ripple_HW += 0.25 * _passed(phase_HW) * np.cos(2 * np.pi * phase_HW)
    tone_HWC: Floats = 4 * colours_HWC * (1 - colours_HWC)
    return tone_HWC * ripple_HW[..., None]


def _stripes(x_HW: Floats, y_HW: Floats) -> Floats:
    """Return what a screen of upright red, green and blue stripes makes of even white, per colour.

    Fourier series of a stripe that is lit over 0.3 of the pixel's width and 0.85 of its height.
    """
    gain_HW3 = np.ones((*x_HW.shape, 3), np.float32)
    for colour in range(3):
        for order in (1, 2):
            phase_HW = order * (x_HW - (colour + 0.5) / 3)
            weight = 2 * np.sinc(0.3 * order)
            gain_HW3[..., colour] += weight * _passed(phase_HW) * np.cos(2 * np.pi * phase_HW)
    rows_HW = 1 + 2 * np.sinc(0.85) * _passed(y_HW) * np.cos(2 * np.pi * y_HW)
    gain_HW3 *= rows_HW[..., None]
    return gain_HW3


def _sensor(seen_HWC: Floats, random: Random) -> NDArray[np.uint8]:
    """Return the picture after a sensor with one colour a pixel, its noise and a plain bilinear filling in."""
    height, width = seen_HWC.shape[:2]
    noisy_HWC = seen_HWC + random.standard_normal(seen_HWC.shape, np.float32) * np.sqrt(
        READ_NOISE**2 + SHOT_NOISE * seen_HWC.clip(0)
    )
    filled_HWC = np.empty_like(noisy_HWC)
    rows, columns = np.mgrid[:height, :width]
    for colour, sites in enumerate(
        (
            (rows % 2 == 0) & (columns % 2 == 0),
            (rows + columns) % 2 == 1,
            (rows % 2 == 1) & (columns % 2 == 1),
        )
    ):
        weight_HW, value_HW = sites.astype(np.float32), np.where(sites, noisy_HWC[..., colour], np.float32(0))
        filled_HWC[..., colour] = np.where(sites, value_HW, _tent(value_HW) / _tent(weight_HW))
    return filled_HWC.clip(0, 255).astype(np.uint8)


def _tent(plane_HW: Floats) -> Floats:
    """Return the sums over 3 x 3 neighbours, nearer ones weighing more: bilinear over Bayer sites."""
    padded = np.pad(plane_HW, 1)
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    summed: Floats = across[:-2] + 2 * across[1:-1] + across[2:]
    return summed


def write_h264(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Write the frames as an H.264 camera would send them (constant quality, x264's usual 23)."""
    with av.open(str(path), "w", format="mp4") as written:
        stream = written.add_stream("libx264", rate=RATE, options={"crf": "23", "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for frame_HWC in frames:
            written.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        written.mux(stream.encode())
