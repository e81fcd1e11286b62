"""ONNX Runtime keeps usage events in the user's home unless told not to, before it is imported."""

import os
import subprocess
import sys
from pathlib import Path


def test_using_onnx_runtime_through_recognition_writes_nothing_into_the_home(tmp_path: Path) -> None:
    code = (
        "import overt.recognition.pack, onnxruntime, onnx, onnx.helper as h\n"
        "x = h.make_tensor_value_info('x', 1, [1]); y = h.make_tensor_value_info('y', 1, [1])\n"
        "graph = h.make_graph([h.make_node('Identity', ['x'], ['y'])], 'g', [x], [y])\n"
        "model = h.make_model(graph, opset_imports=[h.make_opsetid('', 17)], ir_version=9)\n"
        "onnxruntime.InferenceSession(model.SerializeToString())\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("XDG_CACHE_HOME", None)
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.rglob("*")) == []
