"""Where PyTorch runs, in which precision, and in batches of which shapes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from overt.recognition.errors import DeviceMissing
from overt.recognition.onnx_session import Device


@dataclass(frozen=True, slots=True)
class Place:
    """A device and the type that networks compute in there."""

    device: torch.device
    dtype: torch.dtype

    def moved(self, network: torch.nn.Module) -> torch.nn.Module:
        """Return the network here, for inference, its convolutions laid out channels last."""
        network.requires_grad_(requires_grad=False).eval()
        return network.to(device=self.device, dtype=self.dtype, memory_format=torch.channels_last)


def place_of(device: Device, *, threads: int) -> Place:
    """Return where to compute: half precision on CUDA, float32 on a CPU with `threads` threads.

    PyTorch has one number of threads for the whole process: the pack loaded last decides it.
    Raises DeviceMissing: nothing falls back to another device.
    """
    if device == "tensorrt":
        raise DeviceMissing(
            "device tensorrt was asked for, but the PyTorch path has none: ask for cuda, or take a pack of ONNX files"
        )
    if device == "cpu":
        torch.set_num_threads(threads)
        return Place(torch.device("cpu"), torch.float32)
    if not torch.cuda.is_available():
        raise DeviceMissing(
            "device cuda was asked for, but PyTorch finds none: see its driver, or ask for device cpu"
        )
    return Place(torch.device("cuda"), torch.float16)


def in_fixed_batches(
    run: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], rows: torch.Tensor, sizes: Sequence[int]
) -> tuple[torch.Tensor, ...]:
    """Return `run` over `rows` (one at least), in batches of `sizes` (rising) alone: the last is padded with zeros.

    A device that meets few shapes plans and allocates once for each. Nothing of the padding comes back.
    """
    parts = []
    for start in range(0, len(rows), sizes[-1]):
        batch = rows[start : start + sizes[-1]]
        size = next(size for size in sizes if size >= len(batch))
        padded = torch.zeros((size, *rows.shape[1:]), dtype=rows.dtype, device=rows.device)
        padded[: len(batch)] = batch
        parts.append(tuple(output[: len(batch)].float() for output in run(padded)))
    return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))
