"""Plane geometry of a region of interest: is it a simple polygon, and what lies inside."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
LEAST_CORNERS = 3
LEAST_AREA = 1e-4


def problem(corners: Sequence[Point]) -> str | None:
    """Return why these corners, as fractions of a picture, are no region; None if they are one."""
    if len(corners) < LEAST_CORNERS:
        return f"has {len(corners)} corners, at least {LEAST_CORNERS} are needed"
    for number, (x, y) in enumerate(corners, start=1):
        if not (0 <= x <= 1 and 0 <= y <= 1):  # also true for what is no number
            return f"corner {number} lies outside the picture: fractions from 0 to 1 are needed"
    if len(set(corners)) != len(corners):
        return "names a corner twice (it closes by itself)"
    for (one, first), (other, second) in combinations(enumerate(_sides(corners), start=1), 2):
        are_neighbours = other - one in (1, len(corners) - 1)
        if _fold_back(first, second) if are_neighbours else _meet(first, second):
            return f"crosses itself: the sides after corners {one} and {other} meet"
    if abs(_area(corners)) < LEAST_AREA:
        return "is so thin that no face is inside"
    return None


def inside(points_N2: NDArray[np.floating], corners: Sequence[Point]) -> NDArray[np.bool_]:
    """Return which points lie inside, by the even-odd rule; both in the same unit."""
    crossed_N = np.zeros(len(points_N2), np.bool_)
    x_N, y_N = points_N2[:, 0], points_N2[:, 1]
    for (x0, y0), (x1, y1) in _sides(corners):
        spans_N = (y0 > y_N) != (y1 > y_N)
        if y0 != y1:
            crossed_N ^= spans_N & (x_N < x0 + (y_N - y0) * (x1 - x0) / (y1 - y0))
    return crossed_N


def bounds(corners: Sequence[Point]) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom."""
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _sides(corners: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    return zip(corners, [*corners[1:], corners[0]], strict=True)


def _area(corners: Sequence[Point]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in _sides(corners)) / 2


def _turn(a: Point, b: Point, c: Point) -> int:
    """Return on which side of the line a-b the point c lies: 1, -1, or 0 on it, but for rounding."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return 0 if abs(cross) < 1e-12 else (1 if cross > 0 else -1)


def _meet(first: tuple[Point, Point], second: tuple[Point, Point]) -> bool:
    (a, b), (c, d) = first, second
    if _turn(a, b, c) != _turn(a, b, d) and _turn(c, d, a) != _turn(c, d, b):
        return True
    return any(_on(side, point) for side, point in ((first, c), (first, d), (second, a), (second, b)))


def _on(side: tuple[Point, Point], point: Point) -> bool:
    (ax, ay), (bx, by) = side
    between = min(ax, bx) <= point[0] <= max(ax, bx) and min(ay, by) <= point[1] <= max(ay, by)
    return between and _turn((ax, ay), (bx, by), point) == 0


def _fold_back(first: tuple[Point, Point], second: tuple[Point, Point]) -> bool:
    """Whether two sides with a common corner lie on one another."""
    (common,) = set(first) & set(second)
    (a,), (b,) = set(first) - {common}, set(second) - {common}
    return _on((common, a), b) or _on((common, b), a)
