"""Turns aligned crops into templates with Inception-ResNet-v1 in PyTorch (FaceNet, Schroff et al. 2015)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from overt.recognition.embedder import EmbedderOptions, require_crops, unit_rows
from overt.recognition.facenet.torch_device import Place, in_fixed_batches

# Crops shown together: finer steps would cost plans, coarser ones padding. A row does not depend on its batch.
BATCHES = (1, 2, 4, 8, 12, 16, 32)


@dataclass(frozen=True, slots=True)
class FacenetEmbedder:
    """Makes templates. Safe to share between threads: the network is only read."""

    network: torch.nn.Module
    place: Place
    options: EmbedderOptions

    @property
    def dimension(self) -> int:
        """Values in a template."""
        return self.options.dimension

    def embed(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return N x D float32, one unit row a crop, for aligned RGB crops.

        A row does not depend on the others of its batch. Raises ValueError for another shape or type.
        """
        require_crops(crops_NHWC, self.options.crop_size_px)
        if len(crops_NHWC) == 0:
            return np.zeros((0, self.dimension), np.float32)
        return unit_rows(self._run(crops_NHWC).cpu().numpy())

    def _run(self, crops_NHWC: NDArray[np.uint8]) -> torch.Tensor:
        ordered_NHWC = crops_NHWC[..., ::-1] if self.options.colours == "BGR" else crops_NHWC
        blob_NCHW = torch.from_numpy(ordered_NHWC.copy()).permute(0, 3, 1, 2)  # a view: channels last
        with torch.inference_mode():
            (features_ND,) = in_fixed_batches(self._features, blob_NCHW, BATCHES)
        return features_ND

    def _features(self, crops_NCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shown_NCHW = ranged(crops_NCHW.to(self.place.device).float(), self.options)
        shown_NCHW = shown_NCHW.to(self.place.dtype).contiguous(memory_format=torch.channels_last)
        return (self.network(shown_NCHW),)


def ranged(crops_NCHW: torch.Tensor, options: EmbedderOptions) -> torch.Tensor:
    """Return float32 crops in the network's range: fixed, or each at mean 0 and deviation 1."""
    if options.normalisation == "per_crop":
        values = crops_NCHW[0].numel()
        deviation_N111, mean_N111 = torch.std_mean(crops_NCHW, dim=(1, 2, 3), correction=0, keepdim=True)
        return (crops_NCHW - mean_N111) / deviation_N111.clamp(min=values**-0.5)
    mean_C11 = torch.tensor(options.mean, device=crops_NCHW.device)[:, None, None]
    return (crops_NCHW - mean_C11) * options.scale
