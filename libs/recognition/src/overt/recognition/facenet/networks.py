"""Builds facenet_pytorch's networks and fills them with the pinned weights, tensor by tensor."""

from collections.abc import Callable, Mapping

import torch
from facenet_pytorch import InceptionResnetV1
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from safetensors import SafetensorError
from safetensors.torch import load

from overt.recognition.errors import ModelFileCorrupt, PackRefused

# How often a network in training saw a batch: not in the files, no part of what is computed.
COUNTER = "num_batches_tracked"
FEATURES = 1792
MTCNN: tuple[Callable[[], torch.nn.Module], ...] = (
    lambda: PNet(pretrained=False),
    lambda: RNet(pretrained=False),
    lambda: ONet(pretrained=False),
)


def inception_resnet(dimension: int) -> torch.nn.Module:
    """Return Inception-ResNet-v1 with random weights, for templates of `dimension` values."""
    network: torch.nn.Module = InceptionResnetV1(pretrained=None)
    if dimension != network.last_linear.out_features:
        network.last_linear = torch.nn.Linear(FEATURES, dimension, bias=False)
        network.last_bn = torch.nn.BatchNorm1d(dimension, eps=0.001)
    return network


def filled(network: torch.nn.Module, content: bytes, name: str) -> torch.nn.Module:
    """Return the network with the weights of a safetensors file: every one of them, and no other.

    Nothing is unpickled. Raises ModelFileCorrupt for what is no such file, PackRefused for one of another
    network.
    """
    try:
        weights: Mapping[str, torch.Tensor] = load(content)
    except SafetensorError as error:
        raise ModelFileCorrupt(f"{name} is no safetensors file: {error}") from error
    wanted = {key: value for key, value in network.state_dict().items() if not key.endswith(COUNTER)}
    other = {key for key in wanted.keys() & weights.keys() if wanted[key].shape != weights[key].shape}
    if unlike := sorted(other | wanted.keys() ^ weights.keys()):
        raise PackRefused(
            f"{name} is of another network: {len(unlike)} of its tensors differ, such as {unlike[0]}"
        )
    network.load_state_dict(dict(weights), strict=False)
    return network
