from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.recognition.align import align_crop
from overt.recognition.embedder import Embedder, EmbedderOptions
from overt.recognition.pack import Pack

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


def crops_of(pack: Pack, photographs: Photographs) -> dict[str, NDArray[np.uint8]]:
    return {
        name: align_crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])
        for name, image_HWC in photographs.items()
    }


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


@pytest.mark.models
def test_one_man_is_alike_across_photographs_and_different_people_are_not(
    pack: Pack, photographs: Photographs
) -> None:
    crops = crops_of(pack, photographs)
    names = list(crops)

    templates_ND = pack.embedder.embed(np.stack([crops[name] for name in names]))

    threshold = pack.info.calibration.default_threshold
    assert threshold is not None
    similarity = templates_ND @ templates_ND.T
    for row, first in enumerate(names):
        for column, second in enumerate(names[:row]):
            same = first in MAN and second in MAN
            value = similarity[row, column]
            assert value > threshold + 0.1 if same else value < threshold - 0.15, (first, second, value)


@pytest.mark.models
def test_a_template_does_not_depend_on_the_rest_of_its_batch(pack: Pack, photographs: Photographs) -> None:
    crops = list(crops_of(pack, photographs).values())

    together_ND = pack.embedder.embed(np.stack(crops))
    alone_ND = np.concatenate([pack.embedder.embed(crop[np.newaxis]) for crop in crops])

    assert np.allclose(together_ND, alone_ND, atol=1e-5)
    assert np.allclose(np.linalg.norm(together_ND, axis=1), 1.0, atol=1e-6)
    assert pack.embedder.dimension == pack.info.dimension == together_ND.shape[1]
