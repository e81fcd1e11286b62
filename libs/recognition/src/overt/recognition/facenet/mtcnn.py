"""MTCNN (Zhang et al. 2016) over a batch of pictures: P-Net on a pyramid, then R-Net and O-Net on candidates.

P, R and O are facenet_pytorch's networks; what is between them is done here for all pictures of a batch
together. Coordinates are edges: the first pixel reaches from 0 to 1.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from overt.recognition.facenet import recipe
from overt.recognition.facenet.candidates import (
    Candidates,
    cells,
    cut,
    joined,
    landmarks,
    moved,
    squared,
    thinned,
)
from overt.recognition.facenet.torch_device import Place, in_fixed_batches

# Candidates shown to R-Net or O-Net together.
BATCHES = (16, 64, 256)


@dataclass(frozen=True, slots=True)
class Mtcnn:
    """The three networks where they run, and the range they were trained on: (value - mean) * scale."""

    networks: tuple[torch.nn.Module, torch.nn.Module, torch.nn.Module]
    place: Place
    mean: tuple[float, float, float]
    scale: float

    def faces(self, images_BCHW: Tensor, score_threshold: float) -> tuple[Candidates, Tensor]:
        """Return faces at or above the threshold and their landmarks_N52, before the last suppression.

        images_BCHW: float32, 0 to 255, on the device.
        """
        seen = self._refined(images_BCHW, self._proposed(images_BCHW))
        squares_N4 = squared(moved(seen))
        if len(seen) == 0:
            return seen, torch.zeros((0, 5, 2), device=images_BCHW.device)
        moves_N4, points_N10, chance_N2 = self._look(
            2, cut(images_BCHW, squares_N4, seen.picture_N, recipe.O_SIDE_PX)
        )
        sure_N = chance_N2[:, 1] >= score_threshold
        faces = Candidates(squares_N4, moves_N4, chance_N2[:, 1], seen.picture_N)[sure_N]
        return replace(faces, boxes_N4=moved(faces)), landmarks(faces.boxes_N4, points_N10[sure_N])

    def _proposed(self, images_BCHW: Tensor) -> Candidates:
        """Return what P-Net takes for faces at any level of the pyramid."""
        height, width = images_BCHW.shape[2:]
        found = []
        for size in levels(height, width):
            level_BCHW = interpolate(images_BCHW, size=size, mode="area")
            moves_B4HW, chance_B2HW = (out.float() for out in self.networks[0](self._ranged(level_BCHW)))
            px = (width / size[1], height / size[0])
            likely = cells(moves_B4HW, chance_B2HW[:, 1], recipe.PASS_P, px)
            found.append(thinned(likely, recipe.IOU_LEVEL, recipe.MAX_CANDIDATES))
        if not found:
            return _nothing(images_BCHW.device)
        return thinned(joined(found), recipe.IOU_LEVELS, recipe.MAX_CANDIDATES)

    def _refined(self, images_BCHW: Tensor, proposed: Candidates) -> Candidates:
        """Return what R-Net takes for faces among them."""
        if len(proposed) == 0:
            return proposed
        squares_N4 = squared(moved(proposed))
        moves_N4, chance_N2 = self._look(
            1, cut(images_BCHW, squares_N4, proposed.picture_N, recipe.R_SIDE_PX)
        )
        seen = Candidates(squares_N4, moves_N4, chance_N2[:, 1], proposed.picture_N)
        return thinned(seen[seen.scores_N >= recipe.PASS_R], recipe.IOU_R, recipe.MAX_CANDIDATES)

    def _look(self, number: int, cuts_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return what R-Net (1) or O-Net (2) says of the cuts."""
        return in_fixed_batches(self.networks[number], self._ranged(cuts_NCHW), BATCHES)

    def _ranged(self, images_BCHW: Tensor) -> Tensor:
        mean_C11 = torch.tensor(self.mean, device=images_BCHW.device)[:, None, None]
        return ((images_BCHW - mean_C11) * self.scale).to(self.place.dtype)


def levels(height: int, width: int) -> list[tuple[int, int]]:
    """Return height and width of each level of the pyramid, the largest first; none for a tiny picture."""
    scale = recipe.CELL_PX / recipe.SMALLEST_FACE_PX
    sizes = []
    while min(height, width) * scale >= recipe.CELL_PX:
        sizes.append((int(height * scale + 1), int(width * scale + 1)))
        scale *= recipe.PYRAMID_FACTOR
    return sizes


def _nothing(device: torch.device) -> Candidates:
    none_04 = torch.zeros((0, 4), device=device)
    return Candidates(none_04, none_04, none_04[:, 0], torch.zeros(0, dtype=torch.long, device=device))
