"""Packs that load and then make everybody alike, or nobody found, are refused before anybody is looked at."""

from pathlib import Path

import pytest

from overt.recognition import pack_spec
from overt.recognition.errors import PackRefused
from overt.recognition.pack import load_pack
from overt.recognition.pack_spec import parse_spec

CPU = (Path(pack_spec.__file__).parent / "packs" / "cpu.toml").read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[38.2946, 51.6963]", "[-99999.0, 51.6963]"),
        ("[38.2946, 51.6963]", "[38.2946, 112.0]"),
        ("[38.2946, 51.6963]", "[73.5318, 51.5014]"),
        ("[38.2946, 51.6963]", "[nan, 51.6963]"),
        ("[38.2946, 51.6963]", "[inf, 51.6963]"),
        ("multiple_px = 32", "scale = 0.0"),
        ("multiple_px = 32", "scale = nan"),
        ("multiple_px = 32", "scale = 1e300"),
        ("multiple_px = 32", "mean = [nan, 0.0, 0.0]"),
        ("multiple_px = 32", "input_size_px = [100000, 100000]"),
        ("multiple_px = 32", "input_size_px = [33, 33]"),
        ("dimension = 128", "dimension = 128\nscale = 0.0"),
        ("dimension = 128", "dimension = " + 5000 * "9"),
        ("dimension = 128", "dimension = " + 20_000 * "["),
    ],
)
def test_numbers_that_no_network_could_use_are_refused(before: str, after: str) -> None:
    assert before in CPU
    with pytest.raises(PackRefused, match=r"^mine\.toml: "):
        parse_spec(CPU.replace(before, after, 1).encode(), "mine.toml")


@pytest.mark.models
def test_an_embedder_that_gives_one_template_for_whatever_it_is_shown_is_refused(
    tmp_path: Path, models_dir: Path
) -> None:
    path = tmp_path / "mine.toml"
    # So small a range that nothing of a crop is left: within the bounds, and still of nobody.
    path.write_text(CPU.replace("dimension = 128", "dimension = 128\nscale = 0.000001", 1))
    with pytest.raises(PackRefused, match="one template for whatever it is shown"):
        load_pack(str(path), models_dir)
