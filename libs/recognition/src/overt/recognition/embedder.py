"""Turns aligned crops into templates with a network in ONNX Runtime (by default SFace, Zhong et al. 2021)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Bounds memory; batches bring no speed on a CPU.
BATCH = 16
# A crop without any contrast must not become endless: FaceNet's rule (Schroff et al. 2015, its reference code).
LEAST_DEVIATION = "1 / sqrt(values)"


class FaceEmbedder(Protocol):
    """What every pack's embedder does. Safe to share between threads."""

    @property
    def dimension(self) -> int:
        """Values in a template."""

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return N x D float32, one unit row a crop, for aligned RGB crops.

        A row does not depend on the others of its batch. Raises ValueError for another shape or type.
        """


class Session(Protocol):
    """The one call of ONNX Runtime's InferenceSession that is used."""

    def run(
        self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """Return the named outputs."""


@dataclass(frozen=True, slots=True)
class EmbedderOptions:
    """What the network wants to see; see `pack_spec.EmbedderTable`."""

    dimension: int
    crop_size_px: int
    input: str = "data"
    output: str = "fc1"
    colours: str = "RGB"
    normalisation: str = "fixed"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0


class Embedder:
    """Makes templates. Safe to share between threads, as ONNX Runtime's sessions are."""

    def __init__(self, session: Session, options: EmbedderOptions) -> None:
        self._session = session
        self._options = options

    @property
    def dimension(self) -> int:
        """Values in a template."""
        return self._options.dimension

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return N x D float32, one unit row a crop, for aligned RGB crops.

        A row does not depend on the others of its batch. Raises ValueError for another shape or type.
        """
        require_crops(crops_NHWC, self._options.crop_size_px)
        features_ND = np.empty((len(crops_NHWC), self._options.dimension), np.float32)
        for start in range(0, len(crops_NHWC), BATCH):
            blob_NCHW = self._blob(crops_NHWC[start : start + BATCH])
            features_ND[start : start + BATCH] = self._session.run(
                [self._options.output], {self._options.input: blob_NCHW}
            )[0]
        return unit_rows(features_ND)

    def _blob(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        options = self._options
        ordered_NHWC = crops_NHWC[..., ::-1] if options.colours == "BGR" else crops_NHWC
        blob_NCHW = np.ascontiguousarray(ordered_NHWC.transpose(0, 3, 1, 2), np.float32)
        if options.normalisation == "per_crop":
            return standardised(blob_NCHW)
        if any(options.mean):
            blob_NCHW -= np.array(options.mean, np.float32)[:, None, None]
        if options.scale != 1.0:
            blob_NCHW *= np.float32(options.scale)
        return blob_NCHW


def require_crops(crops_NHWC: NDArray[np.uint8], side_px: int) -> None:
    """Raise ValueError for what are no RGB crops of that side."""
    expected = (side_px, side_px, 3)
    if crops_NHWC.ndim != 4 or crops_NHWC.shape[1:] != expected or crops_NHWC.dtype != np.uint8:
        raise ValueError(
            f"crops are {crops_NHWC.dtype} {crops_NHWC.shape}, expected uint8 (N, {side_px}, {side_px}, 3)"
        )


def unit_rows(features_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows at length 1; a row of zeros stays one."""
    norms_N1 = np.linalg.norm(features_ND, axis=1, keepdims=True)
    templates_ND: NDArray[np.float32] = features_ND / np.maximum(norms_N1, np.finfo(np.float32).tiny)
    return templates_ND


def standardised(blob_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each crop at mean 0 and deviation 1; of a plain one the deviation is taken as 1 / sqrt(values)."""
    values = blob_NCHW[0].size if len(blob_NCHW) else 1
    mean_N111 = blob_NCHW.mean(axis=(1, 2, 3), keepdims=True)
    deviation_N111 = np.maximum(blob_NCHW.std(axis=(1, 2, 3), keepdims=True), 1 / np.sqrt(values))
    result_NCHW: NDArray[np.float32] = ((blob_NCHW - mean_N111) / deviation_N111).astype(np.float32)
    return result_NCHW


def embedding_constants() -> Mapping[str, object]:
    """Return what a template depends on besides the pack's own file."""
    return {"norm": "L2", "least_deviation": LEAST_DEVIATION}
