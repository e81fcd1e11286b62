"""Asks of one track whether it may show a picture of a face: a passive check, after ISO/IEC 30107-3.

Two questions, neither of which needs the person's help. Parallax: a flat picture that is turned stays an affine
image of itself, a head does not, as its nose stands out. Moiré: a screen's grid seen through a camera's leaves
regular stripes, which faces don't have. How often each errs is measured by `benchmarks/presentation.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.quality.pose import MEAN_FACE_53

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
_CENTRED_53 = MEAN_FACE_53 - MEAN_FACE_53.mean(axis=0)
_MEAN_FACE_5: Complexes = _CENTRED_53[:, 0] + 1j * _CENTRED_53[:, 1]

PATCH_SIDE_PX = 64
# Rings of the spectrum that are looked at, in cycles a pixel: below lie the features of a face, above little
# but noise and what a codec leaves.
LOWEST_CYCLES, RING_CYCLES = 0.12, 0.04
# A codec works on blocks of 8 pixels, of 4 in a picture decoded at half size: its lines are not a screen's.
BLOCK_PX = 8


@dataclass(frozen=True, slots=True)
class PresentationOptions:
    """How much is kept of a track, and from where on it is flagged.

    every_ns: frames within this time are one look together. max_looks: kept at once; when there are as many,
    every other one is dropped and the time doubled. min_looks: with fewer nothing is said. min_tilt: how much
    the face must have been foreshortened for parallax to be asked. max_relief_to_tilt: departure from
    flatness, over the tilt, up to which it is called flat. min_moire: peak of the spectrum above the ring's
    median, in decades of power.
    """

    max_looks: int = 32
    every_ns: int = 160_000_000
    min_looks: int = 8
    min_tilt: float = 0.02
    max_relief_to_tilt: float = 0.4
    min_moire: float = 2.0


@dataclass(frozen=True, slots=True)
class Parallax:
    """How landmarks moved over a track, in inter-eye distances and free of place, size and roll.

    tilt: spread of the foreshortening, as the complex dilatation (s1 - s2) / (s1 + s2) of each look against
    the mean one; turning a plane from 0 to 30 degrees makes 0.07. relief: root mean square of what the best
    flat picture leaves unexplained in its strongest direction, the third singular value of the looks under
    each other (Tomasi and Kanade 1992: rank two is flat, rank three a rigid body, a face that moves more).
    """

    tilt: float
    relief: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of a track: `flat` None when it was not turned enough to tell."""

    looks: int
    flat: bool | None
    moire: bool

    @property
    def flagged(self) -> bool:
        """Whether it may be a picture of a face."""
        return self.moire or self.flat is True


@dataclass(slots=True)
class _Look:
    """The looks of one short time together: a landmark is off by half a pixel, their mean by less."""

    total_5: Complexes
    count: int
    moire: float


class PresentationCheck:
    """Gathers the looks of one track, bounded in number: five points and one figure each, no picture."""

    def __init__(self, options: PresentationOptions | None = None) -> None:
        self._options = options or PresentationOptions()
        self._every_ns = self._options.every_ns
        self._next_ns: int | None = None
        self._looks: list[_Look] = []

    def add(self, picture_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.floating], at_ns: int) -> None:
        """Take a look: RGB picture, landmarks in its pixels, time of its capture, which must rise."""
        shape_5 = upright(landmarks_52)
        if shape_5 is None:
            return
        if self._next_ns is not None and at_ns < self._next_ns:
            self._looks[-1].total_5 += shape_5
            self._looks[-1].count += 1
            return
        if len(self._looks) >= self._options.max_looks:
            del self._looks[1::2]
            self._every_ns *= 2
        self._next_ns = at_ns + self._every_ns
        self._looks.append(_Look(shape_5, 1, moire(patch(picture_HWC, landmarks_52))))

    @property
    def looks(self) -> int:
        """How many looks are held."""
        return len(self._looks)

    def finding(self) -> Finding | None:
        """Return what the looks say, None while there are too few."""
        if len(self._looks) < self._options.min_looks:
            return None
        moved, peak = self.measures()
        flat = None
        if moved.tilt >= self._options.min_tilt:
            flat = moved.relief <= self._options.max_relief_to_tilt * moved.tilt
        return Finding(len(self._looks), flat, peak >= self._options.min_moire)

    def measures(self) -> tuple[Parallax, float]:
        """Return how the landmarks moved and the median peak of the spectra; at least one look is needed."""
        shapes_N5 = np.stack([look.total_5 / look.count for look in self._looks])
        return parallax(shapes_N5), float(np.median([look.moire for look in self._looks]))


def upright(landmarks_52: NDArray[np.floating]) -> Complexes | None:
    """Return the landmarks as x + iy without place, roll and size: laid on the mean face by least squares.

    In inter-eye distances of the mean face. None where they have no extent.
    """
    points_52 = np.asarray(landmarks_52, np.float64) - np.mean(landmarks_52, axis=0)
    points_5 = points_52[:, 0] + 1j * points_52[:, 1]
    turn = np.vdot(_MEAN_FACE_5, points_5) / np.vdot(_MEAN_FACE_5, _MEAN_FACE_5)
    return points_5 / turn if abs(turn) > 1e-3 else None


def parallax(shapes_N5: Complexes) -> Parallax:
    """Return how five landmarks (see `upright`) moved over N looks, seen by an affine camera."""
    rows_M5 = np.concatenate([shapes_N5.real, shapes_N5.imag])
    relief = np.linalg.svd(rows_M5, compute_uv=False)[2] / np.sqrt(len(rows_M5))
    # Each look as p z + q z* of the mean look z, by least squares: p turns and scales, q foreshortens.
    mean_5 = shapes_N5.mean(axis=0)
    p_N, q_N = np.linalg.lstsq(np.column_stack([mean_5, mean_5.conj()]), shapes_N5.T, rcond=None)[0]
    return Parallax(tilt=float(np.std(q_N / p_N)), relief=float(relief))


def patch(picture_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.floating]) -> Floats:
    """Return the luma of the square around a face's middle, in the picture's own pixels: nothing resampled.

    What lies outside the picture is left out, so the patch may be smaller, or empty.
    """
    middle_x, middle_y = np.mean(landmarks_52, axis=0).tolist()
    left, top = round(middle_x) - PATCH_SIDE_PX // 2, round(middle_y) - PATCH_SIDE_PX // 2
    rgb_HWC = picture_HWC[max(top, 0) : top + PATCH_SIDE_PX, max(left, 0) : left + PATCH_SIDE_PX]
    luma_HW: Floats = rgb_HWC @ np.array([0.299, 0.587, 0.114])
    return luma_HW


def moire(luma_HW: Floats) -> float:
    """Return by how many decades of power the strongest peak of the spectrum stands above its ring's median.

    0 for what is smaller than PATCH_SIDE_PX.
    """
    if luma_HW.shape != (PATCH_SIDE_PX, PATCH_SIDE_PX):
        return 0.0
    window_S = np.hanning(PATCH_SIDE_PX)
    spectrum = np.fft.rfft2((luma_HW - luma_HW.mean()) * np.outer(window_S, window_S))
    decades = np.log10(np.abs(spectrum) ** 2 + 1.0)
    return max(float(decades[ring].max() - np.median(decades[ring])) for ring in _RINGS)


def _rings() -> tuple[NDArray[np.bool_], ...]:
    down = np.abs(np.fft.fftfreq(PATCH_SIDE_PX))[:, None]
    across = np.fft.rfftfreq(PATCH_SIDE_PX)[None, :]
    bin_cycles = 1 / PATCH_SIDE_PX
    on_axis = (down < 1.5 * bin_cycles) | (across < 1.5 * bin_cycles)
    radius = np.hypot(down, across)
    block = np.abs(radius * BLOCK_PX - np.round(radius * BLOCK_PX)) < 1.5 * bin_cycles * BLOCK_PX
    usable = ~(on_axis & block)
    edges = np.arange(LOWEST_CYCLES, 0.5, RING_CYCLES)
    return tuple(usable & (radius >= edge) & (radius < edge + RING_CYCLES) for edge in edges)


_RINGS = _rings()
