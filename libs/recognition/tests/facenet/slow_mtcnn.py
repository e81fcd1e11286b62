"""MTCNN's steps in NumPy, one box and one pixel at a time: slow, obvious, and what the fast ones are held to.

Coordinates are edges: the first pixel reaches from 0 to 1. The networks themselves are given as functions.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Shows 1 x 3 x H x W to a network; its outputs come back as float64.
Network = Callable[[Array], tuple[Array, ...]]


@dataclass
class Box:
    sides: list[float]
    moves: list[float]
    score: float


def ranged(image_CHW: Array) -> Array:
    return (image_CHW - 127.5) / 128


def area_mean(image_CHW: Array, height: int, width: int) -> Array:
    """Each pixel is the mean of those that it covers, whole or in part."""
    small_CHW = np.empty((3, height, width))
    for row in range(height):
        top, bottom = row * image_CHW.shape[1] // height, -(-(row + 1) * image_CHW.shape[1] // height)
        for column in range(width):
            left, right = column * image_CHW.shape[2] // width, -(-(column + 1) * image_CHW.shape[2] // width)
            small_CHW[:, row, column] = image_CHW[:, top:bottom, left:right].mean(axis=(1, 2))
    return small_CHW


def pyramid(height: int, width: int) -> list[tuple[int, int]]:
    """From faces of 20 pixels on, each level 0.709 of the one before, while 12 pixels are left."""
    sizes, scale = [], 12 / 20
    while min(height, width) * scale >= 12:
        sizes.append((math.floor(height * scale + 1), math.floor(width * scale + 1)))
        scale *= 0.709
    return sizes


def cells(moves_4HW: Array, score_HW: Array, across: float, down: float) -> list[Box]:
    found = []
    for row in range(score_HW.shape[0]):
        for column in range(score_HW.shape[1]):
            if score_HW[row, column] >= 0.6:
                left, top = 2 * column, 2 * row
                sides = [left * across, top * down, (left + 12) * across, (top + 12) * down]
                found.append(Box(sides, moves_4HW[:, row, column].tolist(), float(score_HW[row, column])))
    return found


def common(first: Sequence[float], second: Sequence[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def area(sides: Sequence[float]) -> float:
    return (sides[2] - sides[0]) * (sides[3] - sides[1])


def union_share(first: Sequence[float], second: Sequence[float]) -> float:
    both = common(first, second)
    return both / (area(first) + area(second) - both)


def smaller_share(first: Sequence[float], second: Sequence[float]) -> float:
    return common(first, second) / min(area(first), area(second))


def thinned(
    boxes: list[Box], limit: float, share: Callable[[Sequence[float], Sequence[float]], float] = union_share
) -> list[Box]:
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(share(box.sides, other.sides) <= limit for other in kept):
            kept.append(box)
    return kept


def moved(box: Box) -> list[float]:
    width, height = box.sides[2] - box.sides[0], box.sides[3] - box.sides[1]
    return [
        side + move * size
        for side, move, size in zip(box.sides, box.moves, (width, height, width, height), strict=True)
    ]


def squared(sides: Sequence[float]) -> list[float]:
    half = max(sides[2] - sides[0], sides[3] - sides[1]) / 2
    x, y = (sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2
    return [x - half, y - half, x + half, y + half]


def sample(image_CHW: Array, x: float, y: float) -> Array:
    """Bilinear between pixel middles; black more than a pixel outside, the rim repeated within it."""
    height, width = image_CHW.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(3)
    x, y = min(max(x, 0.0), width - 1), min(max(y, 0.0), height - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    upper = image_CHW[:, top, left] * (1 - (x - left)) + image_CHW[:, top, right] * (x - left)
    lower = image_CHW[:, bottom, left] * (1 - (x - left)) + image_CHW[:, bottom, right] * (x - left)
    result: Array = upper * (1 - (y - top)) + lower * (y - top)
    return result


def cut(image_CHW: Array, sides: Sequence[float], side_px: int) -> Array:
    """Each pixel is the mean of n x n samples, n the pixels of the picture in one of the cut, rounded up."""
    step = (sides[2] - sides[0]) / side_px
    samples = math.ceil(step)
    cut_CHW = np.zeros((3, side_px, side_px))
    for row in range(side_px):
        for column in range(side_px):
            for down in range(samples):
                for across in range(samples):
                    x = sides[0] + step * (column + (across + 0.5) / samples) - 0.5
                    y = sides[1] + step * (row + (down + 0.5) / samples) - 0.5
                    cut_CHW[:, row, column] += sample(image_CHW, x, y) / samples**2
    return cut_CHW


def faces(
    image_CHW: Array, networks: tuple[Network, Network, Network], score_threshold: float
) -> list[tuple[Box, list[list[float]]]]:
    """Return each face's box (in its `sides`) and landmarks, the surest first."""
    p_net, r_net, o_net = networks
    height, width = image_CHW.shape[1:]
    boxes: list[Box] = []
    for level_height, level_width in pyramid(height, width):
        moves, chance = p_net(ranged(area_mean(image_CHW, level_height, level_width))[np.newaxis])
        level = cells(moves[0], chance[0, 1], width / level_width, height / level_height)
        boxes += thinned(level, 0.5)
    refined = []
    for box in thinned(boxes, 0.7):
        square = squared(moved(box))
        moves, chance = r_net(ranged(cut(image_CHW, square, 24))[np.newaxis])
        if chance[0, 1] >= 0.7:
            refined.append(Box(square, moves[0].tolist(), float(chance[0, 1])))
    found, points_of = [], {}
    for box in thinned(refined, 0.7):
        square = squared(moved(box))
        moves, points, chance = o_net(ranged(cut(image_CHW, square, 48))[np.newaxis])
        if chance[0, 1] >= score_threshold:
            face = Box(moved(Box(square, moves[0].tolist(), 0.0)), [], float(chance[0, 1]))
            size = square[2] - square[0]
            points_of[id(face)] = [
                [square[0] + points[0, n] * size, square[1] + points[0, 5 + n] * size] for n in range(5)
            ]
            found.append(face)
    return [(face, points_of[id(face)]) for face in thinned(found, 0.7, smaller_share)]
