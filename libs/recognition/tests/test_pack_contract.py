"""The pack in ONNX Runtime keeps the contract."""

import pytest

from .pack_contract import PackContract


@pytest.mark.models
class TestCpu(PackContract):
    """With the fixture `pack` of conftest: cpu."""

    # Landmarks of a face seen at half the size differ by a pixel or two of YuNet's stride.
    seen_otherwise = 0.15
