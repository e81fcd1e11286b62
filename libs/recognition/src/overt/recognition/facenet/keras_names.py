"""Which array of the Keras file of FaceNet (2017) is which of facenet_pytorch's Inception-ResNet-v1."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
REPEATS = {"Block35": "repeat_1", "Block17": "repeat_2", "Block8": "repeat_3"}
# The last of six has no ReLU and stands for itself.
LAST_BLOCK = "Block8_6"
ENDS = {"Bottleneck": "last_linear", "Bottleneck_BatchNorm": "last_bn"}
KINDS = {"kernel": "weight", "bias": "bias", "beta": "bias"}
MOVING = {"moving_mean": "running_mean", "moving_variance": "running_var"}

BRANCH = re.compile(r"(?P<whole>.+)_Branch_(?P<number>\d)_Conv2d_(?P<place>\d[a-z]|1x1)(?:_\dx\d)?")
PLAIN = re.compile(r"Conv2d_(?P<place>\d[a-z])_\dx\d")
MERGE = re.compile(r"(?P<whole>Block\d+_\d+)_Conv2d_1x1")


def renamed(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of `layer/kind` as the state of facenet_pytorch's network.

    Convolutions turn from H W in out to out in H W; BatchNorm's scale, which the file leaves out, is 1.
    Raises ValueError for a name that is not of this network.
    """
    places = _places(name.partition("/")[0] for name in arrays)
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        layer, _, kind = name.partition("/")
        normalises = layer.endswith("_BatchNorm")
        place = ENDS.get(layer) or _place(layer.removesuffix("_BatchNorm"), places)
        if layer not in ENDS and not place.endswith("conv2d"):
            place += ".bn" if normalises else ".conv"
        if kind not in KINDS | MOVING:
            raise ValueError(f"{name} is no array of Inception-ResNet-v1")
        found[f"{place}.{(KINDS | MOVING)[kind]}"] = _turned(array)
        if kind == "beta":
            found[f"{place}.weight"] = np.ones_like(array)
    return found


def _turned(array: Array) -> Array:
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, (0,))
    return np.ascontiguousarray(array.transpose(axes))


def _places(layers: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """Return the convolutions of each branch in their order."""
    places: dict[tuple[str, str], set[str]] = {}
    for layer in layers:
        if branch := BRANCH.fullmatch(layer.removesuffix("_BatchNorm")):
            places.setdefault((branch["whole"], branch["number"]), set()).add(branch["place"])
    return {key: sorted(values) for key, values in places.items()}


def _place(layer: str, places: Mapping[tuple[str, str], list[str]]) -> str:
    """Return where a convolution stands in facenet_pytorch's network."""
    if plain := PLAIN.fullmatch(layer):
        return f"conv2d_{plain['place']}"
    if merge := MERGE.fullmatch(layer):
        return f"{_block(merge['whole'])}.conv2d"
    branch = BRANCH.fullmatch(layer)
    if branch is None:
        raise ValueError(f"{layer} is no layer of Inception-ResNet-v1")
    order = places[branch["whole"], branch["number"]]
    place = f"{_block(branch['whole'])}.branch{branch['number']}"
    # A branch of one convolution is that convolution; of several, a sequence.
    return place if len(order) == 1 else f"{place}.{order.index(branch['place'])}"


def _block(whole: str) -> str:
    if whole == LAST_BLOCK:
        return "block8"
    kind, _, number = whole.partition("_")
    return f"{REPEATS[kind]}.{int(number) - 1}" if kind in REPEATS else whole.lower()
