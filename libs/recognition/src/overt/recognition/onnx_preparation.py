"""Turns the shipped ONNX files into ones that ONNX Runtime accepts, runs faster and in batches.

As shipped, the weights are 8-bit in blocks that ONNX Runtime refuses, and some stand among the inputs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

# Counts up when the prepared bytes change: it is part of what the pinned digests stand for.
PREPARATION = 1


def prepare(content: bytes, *, symbolic: Mapping[int, str]) -> bytes:
    """Return the model with float32 weights, its picture as the only input, and `symbolic` dimensions.

    `symbolic` names dimensions of the input by their place, e.g. {0: "N"}. The same bytes in give the same
    bytes out.
    """
    model = onnx.load_from_string(content)
    _fold_weights(model.graph)
    _keep_picture_input(model.graph, symbolic)
    _free_batch(model.graph)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _fold_weights(graph: onnx.GraphProto) -> None:
    weights = {tensor.name: tensor for tensor in graph.initializer}
    kept: list[onnx.NodeProto] = []
    used: set[str] = set()
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            arrays = [numpy_helper.to_array(weights[name]) for name in node.input]
            folded = _dequantise(arrays, _attributes(node))
        elif node.op_type == "Reshape" and node.input[0] in weights:
            folded = numpy_helper.to_array(weights[node.input[0]]).reshape(
                numpy_helper.to_array(weights[node.input[1]]).tolist()
            )
        else:
            kept.append(node)
            used.update(node.input)
            continue
        weights[node.output[0]] = numpy_helper.from_array(folded, node.output[0])
    del graph.node[:]
    graph.node.extend(kept)
    del graph.initializer[:]
    graph.initializer.extend(weights[name] for name in sorted(weights.keys() & used))


def _attributes(node: onnx.NodeProto) -> dict[str, int]:
    return {attribute.name: attribute.i for attribute in node.attribute}


def _dequantise(arrays: Sequence[NDArray[np.generic]], attributes: Mapping[str, int]) -> NDArray[np.float32]:
    """DequantizeLinear of ONNX opset 21: (x - zero point) * scale, one scale a block along `axis`."""
    quantised, scales, zero_points = arrays
    axis, block = attributes["axis"], attributes["block_size"]
    length = quantised.shape[axis]

    def spread(values: NDArray[np.generic]) -> NDArray[np.float32]:
        return np.repeat(values, block, axis=axis).take(range(length), axis=axis).astype(np.float32)

    return (quantised.astype(np.float32) - spread(zero_points)) * spread(scales)


def _keep_picture_input(graph: onnx.GraphProto, symbolic: Mapping[int, str]) -> None:
    picture = next(value for value in graph.input if value.name in {"input", "data"})
    picture = onnx.ValueInfoProto.FromString(picture.SerializeToString())
    for place, name in symbolic.items():
        picture.type.tensor_type.shape.dim[place].dim_param = name
    del graph.input[:]
    graph.input.append(picture)


def _free_batch(graph: onnx.GraphProto) -> None:
    """Let every reshape keep the batch (0 copies the dimension) and forget shapes fixed for one picture."""
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in graph.initializer:
        if tensor.name in shapes:
            shape = numpy_helper.to_array(tensor).copy()
            shape[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))
    del graph.value_info[:]
    for output in graph.output:
        dims = output.type.tensor_type.shape.dim
        dims[0].dim_param = "N"
        if len(dims) == 3:
            dims[1].dim_param = f"{output.name}_anchors"
