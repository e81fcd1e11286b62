"""Takes several looks at one face together into one template, and tells when they are not of one face."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A mean this short has no direction worth the name: its looks cancel each other out.
LEAST_LENGTH = 1e-3
# A look less alike the looks before it than this is taken for another face. Measured, see ADR 16.
LEAST_COSINE = 0.35


def fuse(templates_ND: ArrayLike, weights_N: ArrayLike) -> NDArray[np.float32] | None:
    """Return the unit vector along sum_i w_i t_i / sum_i w_i, or None when the rows cancel each other out.

    templates_ND: N unit rows. weights_N: how much each look counts, none negative, one above 0. This is
    feature-level fusion (ISO/IEC TR 24722) by quality pooling (Ranjan et al. 2018, "Crystal Loss and Quality
    Pooling for Unconstrained Face Verification and Recognition"), with the quality itself as the weight
    where they take a softmax of detection scores. Computed in float64. Raises ValueError.
    """
    rows_ND, shares_N = np.asarray(templates_ND, np.float64), np.asarray(weights_N, np.float64)
    if rows_ND.ndim != 2 or shares_N.shape != rows_ND.shape[:1]:
        raise ValueError(f"templates are {rows_ND.shape}, weights {shares_N.shape}: expected (N, D) and (N,)")
    if not (np.all(shares_N >= 0) and 0 < shares_N.sum() < np.inf):
        raise ValueError("weights must be finite, none negative and one above 0")
    mean_D = shares_N @ rows_ND / shares_N.sum()
    length = float(np.linalg.norm(mean_D))
    if not length >= LEAST_LENGTH:  # NaN fails this too
        return None
    fused_D: NDArray[np.float32] = (mean_D / length).astype(np.float32)
    return fused_D


def fuse_track(
    templates_ND: ArrayLike, weights_N: ArrayLike, *, least_cosine: float = LEAST_COSINE
) -> NDArray[np.float32] | None:
    """Fuse the last of a track's looks with those before it that are of the same face.

    templates_ND: one unit row a look, in the order they were seen. A look whose cosine with the looks before
    it, fused, is below `least_cosine` begins anew: two people under one track id must not become one
    template of neither. None when the last look stands alone. Raises ValueError.
    """
    rows_ND, shares_N = np.asarray(templates_ND, np.float64), np.asarray(weights_N, np.float64)
    first = 0
    for index in range(1, len(rows_ND)):
        before_D = fuse(rows_ND[first:index], shares_N[first:index])
        if before_D is None or before_D @ rows_ND[index] < least_cosine:
            first = index
    if first >= len(rows_ND) - 1:
        return None
    return fuse(rows_ND[first:], shares_N[first:])
