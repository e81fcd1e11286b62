"""Opens a network in ONNX Runtime on the device that was asked for, or not at all."""

from collections.abc import Mapping
from typing import Any, Literal

import onnxruntime  # type: ignore[import-untyped]
from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[import-untyped]

from overt.recognition.errors import DeviceMissing, ModelFileCorrupt

Device = Literal["cpu", "cuda", "tensorrt"]

# In the order in which ONNX Runtime asks them; what TensorRT can't do is for CUDA.
PROVIDERS: Mapping[Device, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider",),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}

# What ONNX Runtime raises for a network that it can't load or run: they share no base of their own.
NETWORK_ERRORS: tuple[type[Exception], ...] = (
    *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoModel),
    *(state.NotImplemented, state.RuntimeException, state.EPFail, state.EngineError),
)


def open_session(model: bytes, *, device: Device, threads: int) -> Any:
    """Return an InferenceSession for `model` on `device`.

    Raises DeviceMissing when ONNX Runtime has no such device or would run on another one; ModelFileCorrupt
    for what is no model.
    """
    wanted = PROVIDERS[device]
    there = onnxruntime.get_available_providers()
    missing = [name for name in wanted if name not in there]
    if missing:
        raise DeviceMissing(
            f"device {device} was asked for, but this ONNX Runtime has {', '.join(there)}: install "
            "onnxruntime-gpu in place of onnxruntime, or ask for device cpu"
        )
    try:
        session = onnxruntime.InferenceSession(model, _options(threads), providers=list(wanted))
    except NETWORK_ERRORS as error:
        raise ModelFileCorrupt(f"ONNX Runtime can't load the model: {type(error).__name__}") from error
    # It warns, and goes on with the CPU, when a provider can't start: that would be slow in silence.
    session.disable_fallback()
    if session.get_providers()[0] != wanted[0]:
        raise DeviceMissing(
            f"device {device} was asked for, but it could not be started: see its driver and libraries"
        )
    return session


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep: spinning takes the core that decodes the next picture.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
