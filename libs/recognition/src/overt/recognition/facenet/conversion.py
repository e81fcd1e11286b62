"""Turns weights as they are published into safetensors: names and numbers, nothing that could run.

The same bytes in give the same bytes out.
"""

import io
import re
from collections.abc import Mapping

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from overt.recognition.facenet.keras_names import renamed

Array = NDArray[np.float32]
# Counts how often a network in training saw a batch: no part of what it computes.
COUNTER = "num_batches_tracked"
# The layer that told the people of the training set apart.
CLASSES = re.compile(r"logits\.")


def from_keras(content: bytes) -> bytes:
    """Return a Keras file of FaceNet as safetensors. Raises ValueError, OSError for what is none."""
    arrays: dict[str, Array] = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        layers = file["model_weights"]

        def take(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                # model_weights / layer / layer / kind:0
                layer, _, kind = name.removesuffix(":0").rpartition("/")
                arrays[f"{layer.partition('/')[0]}/{kind}"] = np.asarray(item, np.float32)

        layers.visititems(take)
    return save(_some(renamed(arrays)))


def from_torch(content: bytes) -> bytes:
    """Return a file of `torch.save` as safetensors: the tensors alone, without counters and class layer.

    Read by PyTorch's reader of weights only, which builds nothing but tensors. Raises
    pickle.UnpicklingError for more than that.
    """
    state: Mapping[str, torch.Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return save(
        _some(
            {
                name: np.ascontiguousarray(tensor.float().numpy())
                for name, tensor in state.items()
                if not name.endswith(COUNTER) and not CLASSES.match(name)
            }
        )
    )


def _some(arrays: dict[str, Array]) -> dict[str, Array]:
    """Refuse a file without any weights: it would be converted, and pinned, as well as a whole one."""
    if not arrays:
        raise ValueError("no weights in it")
    return arrays
