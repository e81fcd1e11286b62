"""Boxes that may be faces, of a batch of pictures: from P-Net's cells to squares, moved and thinned out.

Coordinates are edges: the first pixel reaches from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms, roi_align

from overt.recognition.facenet.recipe import CELL_PX, STRIDE_PX


@dataclass(frozen=True, slots=True)
class Candidates:
    """N boxes (left, top, right, bottom) and what a network said of them.

    moves_N4: how far each side should go, in widths and heights of the box. picture_N: which picture of the
    batch each is of.
    """

    boxes_N4: Tensor
    moves_N4: Tensor
    scores_N: Tensor
    picture_N: Tensor

    def __len__(self) -> int:
        return len(self.scores_N)

    def __getitem__(self, chosen: Tensor) -> "Candidates":
        """Return the chosen ones, by a mask or by indices."""
        return Candidates(
            self.boxes_N4[chosen], self.moves_N4[chosen], self.scores_N[chosen], self.picture_N[chosen]
        )


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return the candidates of all parts."""
    return Candidates(
        torch.cat([part.boxes_N4 for part in parts]),
        torch.cat([part.moves_N4 for part in parts]),
        torch.cat([part.scores_N for part in parts]),
        torch.cat([part.picture_N for part in parts]),
    )


def cells(moves_B4HW: Tensor, score_BHW: Tensor, least: float, px: tuple[float, float]) -> Candidates:
    """Return the cells of one level's maps that score `least` or more, in pixels of the picture.

    px: pixels of the picture in one of the level, across and down.
    """
    picture_N, row_N, column_N = torch.nonzero(score_BHW >= least, as_tuple=True)
    corner_N2 = torch.stack([column_N, row_N], dim=1).float() * STRIDE_PX
    boxes_N4 = torch.cat([corner_N2, corner_N2 + CELL_PX], dim=1)
    return Candidates(
        boxes_N4 * torch.tensor([*px, *px], device=boxes_N4.device),
        moves_B4HW[picture_N, :, row_N, column_N],
        score_BHW[picture_N, row_N, column_N],
        picture_N,
    )


def thinned(candidates: Candidates, iou: float, at_most: int) -> Candidates:
    """Return the surest of each picture that do not overlap by more than `iou`, `at_most` of a picture."""
    kept = [torch.zeros(0, dtype=torch.long, device=candidates.scores_N.device)]
    for picture in torch.unique(candidates.picture_N):
        own_M = torch.nonzero(candidates.picture_N == picture).squeeze(1)
        kept.append(own_M[nms(candidates.boxes_N4[own_M], candidates.scores_N[own_M], iou)[:at_most]])
    return candidates[torch.cat(kept)]


def moved(candidates: Candidates) -> Tensor:
    """Return the boxes with each side where the network would have it."""
    sizes_N2 = candidates.boxes_N4[:, 2:] - candidates.boxes_N4[:, :2]
    return candidates.boxes_N4 + candidates.moves_N4 * sizes_N2.repeat(1, 2)


def squared(boxes_N4: Tensor) -> Tensor:
    """Return squares of the longer side about the same middles."""
    middle_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    half_N1 = (boxes_N4[:, 2:] - boxes_N4[:, :2]).amax(dim=1, keepdim=True) / 2
    return torch.cat([middle_N2 - half_N1, middle_N2 + half_N1], dim=1)


def cut(images_BCHW: Tensor, squares_N4: Tensor, picture_N: Tensor, side_px: int) -> Tensor:
    """Return each square of its picture at side_px x side_px; what lies outside the picture is black."""
    rois_N5 = torch.cat([picture_N[:, None].float(), squares_N4], dim=1)
    return roi_align(images_BCHW, rois_N5, side_px, aligned=True)


def landmarks(squares_N4: Tensor, points_N10: Tensor) -> Tensor:
    """Return five landmarks of each face from O-Net's: all x, then all y, in sides of its square.

    Left eye of the picture first, as the detections want it: that is the person's right one.
    """
    points_N52 = points_N10.reshape(-1, 2, 5).transpose(1, 2)
    sizes_N2 = squares_N4[:, 2:] - squares_N4[:, :2]
    return squares_N4[:, None, :2] + points_N52 * sizes_N2[:, None]
