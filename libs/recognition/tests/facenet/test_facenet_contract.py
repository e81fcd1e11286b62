"""The pack in PyTorch keeps the contract of the one in ONNX Runtime."""

import pytest

from libs.recognition.tests.pack_contract import PackContract


@pytest.mark.models
class TestFacenet(PackContract):
    """With the fixture `pack` of this folder: facenet."""
