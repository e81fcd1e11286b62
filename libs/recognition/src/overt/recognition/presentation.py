"""Asks of one track whether it may show a picture of a face: a passive check, after ISO/IEC 30107-3.

Two questions, neither of which needs the person's help. Parallax: whatever a flat picture does before a camera, each
look at it is nearly an affine image of any other; a head that turns, or a face that speaks, is not. Moiré: a
screen's grid seen through a camera's leaves regular stripes, which faces don't have. How often each errs is
measured by `benchmarks/presentation.py`; docs/adr/0013 says why the landmarks alone don't do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.flatness import Reference, face_crop
from overt.recognition.framing import frontal_eye_distance_px

Floats = NDArray[np.float64]

PATCH_SIDE_PX = 64
# Rings of the spectrum that are looked at, in cycles a pixel: below lie the features of a face, above little
# but noise and what a codec leaves.
LOWEST_CYCLES, RING_CYCLES = 0.12, 0.04
# A codec works on blocks of 8 pixels, of 4 in a picture decoded at half size: its lines are not a screen's.
BLOCK_PX = 8


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured over a track.

    tilt: spread of the foreshortening, as the complex dilatation (s1 - s2) / (s1 + s2) of each look against
    the middle one; a plane seen from the front and then turned by 30 degrees has 0.07 between the two.
    likeness: correlation of the looks with the best affine image of the middle one, the lower quartile.
    moire: peak of the spectrum above its ring's median, in decades of power, the median look's.
    """

    tilt: float
    likeness: float
    moire: float


@dataclass(frozen=True, slots=True)
class PresentationOptions:
    """How much is kept of a track, and from where on it is flagged.

    every_ns: how far apart looks are taken at first. max_looks: kept at once; when there are as many, every
    other one is dropped and the time doubled. min_looks: with fewer nothing is said. min_eye_distance_px: in
    a smaller face everything is too smooth to tell. min_tilt: how much the face must have been foreshortened
    for parallax to be asked. max_unlikeness: how far likeness may be from 1 in what is called flat; more by
    unlikeness_per_tilt, as a turned picture loses pixels. min_moire: peak of the spectrum above its ring's median, in decades of power.
    """

    every_ns: int = 160_000_000
    max_looks: int = 12
    min_looks: int = 6
    min_eye_distance_px: float = 15.0
    min_tilt: float = 0.003
    max_unlikeness: float = 0.003
    unlikeness_per_tilt: float = 0.2
    min_moire: float = 2.0

    def asks(self, measures: Measures, eye_distance_px: float) -> bool:
        """Return whether there is enough to tell a flat picture from a head."""
        return measures.tilt >= self.min_tilt and eye_distance_px >= self.min_eye_distance_px

    def is_flat(self, measures: Measures) -> bool:
        """Return whether the looks explain each other as those of a flat picture do."""
        allowed = self.max_unlikeness + self.unlikeness_per_tilt * measures.tilt
        return measures.likeness >= 1 - allowed


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of a track: `flat` None when it was not turned enough, or is too small, to tell."""

    looks: int
    flat: bool | None
    moire: bool

    @property
    def flagged(self) -> bool:
        """Whether it may be a picture of a face."""
        return self.moire or self.flat is True


@dataclass(frozen=True, slots=True)
class _Look:
    crop_SS: NDArray[np.uint8]
    eye_distance_px: float
    moire: float


class PresentationCheck:
    """Gathers the looks of one track: at most `max_looks` grey crops of 4 KB, gone with the track."""

    def __init__(self, options: PresentationOptions | None = None) -> None:
        self._options = options or PresentationOptions()
        self._every_ns = self._options.every_ns
        self._next_ns: int | None = None
        self._looks: list[_Look] = []

    def add(self, picture_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.float32], at_ns: int) -> None:
        """Take a look if it is time for one: RGB picture, landmarks in its pixels, when it was captured."""
        if self._next_ns is not None and at_ns < self._next_ns:
            return
        if len(self._looks) >= self._options.max_looks:
            del self._looks[1::2]
            self._every_ns *= 2
        self._next_ns = at_ns + self._every_ns
        size_px = frontal_eye_distance_px(landmarks_52)
        peak = moire(patch(picture_HWC, landmarks_52))
        self._looks.append(_Look(face_crop(picture_HWC, landmarks_52), size_px, peak))

    @property
    def looks(self) -> int:
        """How many looks are held."""
        return len(self._looks)

    def finding(self) -> Finding | None:
        """Return what the looks say, None while there are too few. Takes about a millisecond a look."""
        if len(self._looks) < self._options.min_looks:
            return None
        measures, flat = self.measures(), None
        if self._options.asks(measures, self.eye_distance_px):
            flat = self._options.is_flat(measures)
        return Finding(len(self._looks), flat, measures.moire >= self._options.min_moire)

    @property
    def eye_distance_px(self) -> float:
        """The median inter-eye distance, in pixels of the pictures that were given."""
        return float(np.median([look.eye_distance_px for look in self._looks]))

    def measures(self) -> Measures:
        """Return what is measured over the looks; at least two are needed."""
        middle = len(self._looks) // 2
        reference = Reference(self._looks[middle].crop_SS)
        others = self._looks[:middle] + self._looks[middle + 1 :]
        fits = [reference.fit(look.crop_SS) for look in others]
        turned = [fit.dilatation for fit in fits if fit.likeness > 0]
        return Measures(
            tilt=float(np.std([0j, *turned])),
            likeness=float(np.quantile([fit.likeness for fit in fits], 0.25)),
            moire=float(np.median([look.moire for look in self._looks])),
        )


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
