from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.recognition.embedder import Embedder, EmbedderOptions

Photographs = Mapping[str, NDArray[np.uint8]]
MAN = ("obama", "obama2", "obama3")


SMALL = EmbedderOptions(dimension=3, crop_size_px=4)


class Sums:
    """Stands in for the network: features are sums over colours, so that order shows."""

    def run(
        self, output_names: list[str], input_feed: dict[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        assert output_names == ["fc1"]
        return [input_feed["data"].sum(axis=(2, 3))]


def test_rows_are_unit_vectors_in_the_order_of_the_crops_across_batches() -> None:
    embedder = Embedder(Sums(), SMALL)
    crops_NHWC = np.zeros((40, 4, 4, 3), np.uint8)
    for number in range(40):
        crops_NHWC[number, ..., number % 3] = 100 + number

    templates_ND = embedder.embed(crops_NHWC)

    assert templates_ND.dtype == np.float32
    assert np.array_equal(templates_ND, np.eye(3)[np.arange(40) % 3])


def test_no_crops_give_no_templates() -> None:
    assert Embedder(Sums(), SMALL).embed(np.zeros((0, 4, 4, 3), np.uint8)).shape == (
        0,
        3,
    )


def test_crops_of_another_size_or_type_are_refused() -> None:
    embedder = Embedder(Sums(), SMALL)

    for wrong in (np.zeros((1, 5, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3))):
        with pytest.raises(ValueError, match="expected uint8"):
            embedder.embed(wrong)  # type: ignore[arg-type]
