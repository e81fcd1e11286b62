"""A secret rotation of templates: two lists can't be linked, and a leftover vector is of no use without its key.

This is no encryption: who holds the key, or many templates with their faces, can undo it. It gives
unlinkability and renewability in the sense of ISO/IEC 24745 against whoever gets the store alone.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_KEY_BYTES = 16
LABEL = b"overt template rotation 1"


@dataclass(frozen=True, slots=True, repr=False)
class Rotation:
    """A secret orthogonal matrix. Angles between templates under the same one stay what they were."""

    matrix_DD: NDArray[np.float64]

    @classmethod
    def from_key(cls, key: bytes, dimension: int) -> "Rotation":
        """Return the rotation that belongs to `key`, uniformly distributed over all (Haar measure).

        QR of a Gaussian matrix with the signs of R's diagonal moved into Q (Stewart 1980; Mezzadri 2007).
        The Gaussian numbers come from SHAKE-256 rather than from NumPy's generators, whose streams may
        change between versions: the same key gives the same rotation for ever. Raises ValueError for a
        key of fewer than 16 bytes.
        """
        if len(key) < MIN_KEY_BYTES or dimension < 1:
            raise ValueError(f"a rotation needs a key of {MIN_KEY_BYTES} bytes or more and a dimension")
        gaussian_DD = _gaussian(key, dimension * dimension).reshape(dimension, dimension)
        q_DD, r_DD = np.linalg.qr(gaussian_DD)
        return cls(q_DD * np.where(np.diagonal(r_DD) < 0, -1.0, 1.0))

    @property
    def dimension(self) -> int:
        """Values in the templates that this rotates."""
        return len(self.matrix_DD)

    def apply(self, templates_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the rotated templates, float32. Raises ValueError for another dimension."""
        if templates_ND.ndim != 2 or templates_ND.shape[1] != self.dimension:
            raise ValueError(f"templates are {templates_ND.shape}, expected (N, {self.dimension})")
        return (templates_ND.astype(np.float64) @ self.matrix_DD.T).astype(np.float32)


def _gaussian(key: bytes, count: int) -> NDArray[np.float64]:
    """Return `count` standard normal numbers drawn from `key` alone (Box and Muller 1958)."""
    pairs = math.ceil(count / 2)
    material = hashlib.shake_256(LABEL + len(key).to_bytes(2, "big") + key + count.to_bytes(4, "big"))
    words = np.frombuffer(material.digest(pairs * 16), dtype="<u8").reshape(2, pairs)
    # 53 bits, moved off zero, where the logarithm has no value.
    uniform_2P = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    radius_P, angle_P = np.sqrt(-2.0 * np.log(uniform_2P[0])), 2.0 * np.pi * uniform_2P[1]
    return np.concatenate([radius_P * np.cos(angle_P), radius_P * np.sin(angle_P)])[:count]
