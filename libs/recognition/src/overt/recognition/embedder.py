"""Turns aligned crops into templates: SFace (Zhong et al. 2021) in ONNX Runtime."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Bounds memory; batches bring no speed on a CPU.
BATCH = 16


class Session(Protocol):
    """The one call of ONNX Runtime's InferenceSession that is used."""

    def run(
        self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """Return the named outputs."""


class Embedder:
    """Makes templates. Safe to share between threads, as ONNX Runtime's sessions are."""

    def __init__(self, session: Session, *, dimension: int, crop_size_px: int) -> None:
        self._session = session
        self._dimension = dimension
        self._crop_size_px = crop_size_px

    @property
    def dimension(self) -> int:
        """Values in a template."""
        return self._dimension

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return N x D float32, one unit row a crop, for aligned RGB crops.

        A row does not depend on the others of its batch. Raises ValueError for another shape or type.
        """
        side = self._crop_size_px
        if crops_NHWC.ndim != 4 or crops_NHWC.shape[1:] != (side, side, 3) or crops_NHWC.dtype != np.uint8:
            raise ValueError(
                f"crops are {crops_NHWC.dtype} {crops_NHWC.shape}, expected uint8 (N, {side}, {side}, 3)"
            )
        features_ND = np.empty((len(crops_NHWC), self._dimension), np.float32)
        for start in range(0, len(crops_NHWC), BATCH):
            chunk_NHWC = crops_NHWC[start : start + BATCH]
            blob_NCHW = np.ascontiguousarray(chunk_NHWC.transpose(0, 3, 1, 2), np.float32)
            features_ND[start : start + BATCH] = self._session.run(["fc1"], {"data": blob_NCHW})[0]
        norms_N1 = np.linalg.norm(features_ND, axis=1, keepdims=True)
        templates_ND: NDArray[np.float32] = features_ND / np.maximum(norms_N1, np.finfo(np.float32).tiny)
        return templates_ND
