"""The file of zones: what it says is used as it stands, and what makes no sense is refused with its place."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.detect import polygon
from overt.detect.zones import FOUND_EYE_DISTANCE_PX, LEAST_INPUT_PX, Zone, Zones, ZonesRefused, read_zones

SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
# A U: its bounding box is not its inside.
LETTER_U = ((0.0, 0.0), (0.3, 0.0), (0.3, 0.7), (0.7, 0.7), (0.7, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def read(folder: Path, text: str) -> Zones:
    file = folder / "zones.toml"
    file.write_text(text, encoding="utf-8")
    return read_zones(file)


def test_a_camera_has_its_own_fields_over_the_defaults_and_others_have_the_defaults(tmp_path: Path) -> None:
    zones = read(
        tmp_path,
        "[defaults]\nevery_nth = 2\nprobe_eye_distance_px = 12\n"
        "[cameras.north]\npolygon = [[0, 0], [1, 0], [0.5, 1]]\nprobe_eye_distance_px = 24\n",
    )
    north = zones.of("north")
    assert (north.every_nth, north.probe_eye_distance_px) == (2, 24.0)
    assert north.polygon == ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))
    assert zones.of("south") == Zone(every_nth=2, probe_eye_distance_px=12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cameras.a]\nevry_nth = 2", r"cameras\.a\.evry_nth: is not known here, only polygon, "),
        ("[camera.a]\nevery_nth = 2", "camera: is not known here, only defaults, cameras"),
        ("[cameras.a]\nevery_nth = 0", r"cameras\.a\.every_nth: .* greater than or equal to 1"),
        ("[cameras.a]\nevery_nth = 1.5", r"cameras\.a\.every_nth: .* integer"),
        ("[defaults]\nprobe_eye_distance_px = 9", r"defaults\.probe_eye_distance_px: .* 10"),
        ("[cameras.a]\nsmallest_eye_distance_px = nan", r"cameras\.a\.smallest_eye_distance_px: "),
        ('[cameras."a b"]\nevery_nth = 2', r"cameras\.a b: "),
        ("[cameras.a]\npolygon = [[0, 0], [1, 1]]", r"cameras\.a\.polygon: has 2 corners, at least 3"),
        ("[cameras.a]\npolygon = [[0, 0], [1, 0], [9, 1]]", "polygon: corner 3 lies outside the picture"),
        ("[cameras.a]\npolygon = [[0, 0], [1, nan], [0, 1]]", "polygon: corner 2 lies outside the picture"),
        ("[cameras.a]\npolygon = [[0, 0], [1, 1], [1, 0], [0, 1]]", "polygon: crosses itself: .* 1 and 3"),
        ("[cameras.a]\npolygon = [[0, 0], [1, 0], [0.5, 0]]", "polygon: crosses itself"),
        ("[cameras.a]\npolygon = [[0, 0], [1, 0], [1, 1], [0, 0]]", "polygon: names a corner twice"),
        ("[cameras.a]\npolygon = [[0, 0], [1, 0], [0.5, 0.0001]]", "polygon: is so thin"),
        ("[cameras.a]\npolygon = [[0, 0, 0], [1, 0], [0, 1]]", r"cameras\.a\.polygon\.0: "),
        ("cameras = 3", "cameras: "),
        ("every_nth =", "is no TOML"),
    ],
    ids=str,
)
def test_a_file_that_makes_no_sense_is_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ZonesRefused, match=told) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value).split("is no TOML")[0]


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZonesRefused, match="can't be read: No such file"):
        read_zones(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ZonesRefused, match="is no TOML"):
        read_zones(tmp_path / "bytes.toml")
    with pytest.raises(ZonesRefused, match="can't be read"):
        read_zones(tmp_path)


def test_the_picture_is_shown_as_small_as_still_finds_the_smallest_face() -> None:
    zone = Zone(smallest_eye_distance_px=2 * FOUND_EYE_DISTANCE_PX)
    assert zone.longest_side_px(1920, 960) == 960
    assert zone.longest_side_px(800, 960) == 400
    assert Zone(smallest_eye_distance_px=FOUND_EYE_DISTANCE_PX - 1).longest_side_px(1920, 960) == 1920
    assert Zone(smallest_eye_distance_px=500).longest_side_px(1920, 960) == LEAST_INPUT_PX
    assert Zone(smallest_eye_distance_px=500).longest_side_px(100, 960) == 100


def test_without_a_smallest_face_a_small_region_is_seen_at_a_larger_scale() -> None:
    assert Zone().longest_side_px(1920, 960) == 960
    assert Zone().longest_side_px(1000, 960) == 960
    assert Zone().longest_side_px(700, 960) == 700


def test_inside_is_what_the_polygon_encloses_not_its_box() -> None:
    points = np.array([[0.5, 0.3], [0.15, 0.3], [0.85, 0.3], [0.5, 0.85], [1.2, 0.5]])
    assert polygon.inside(points, LETTER_U).tolist() == [False, True, True, True, False]
    assert polygon.problem(LETTER_U) is None


@given(st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_inside_a_square_is_inside_its_sides_in_whatever_order_it_is_named(
    point: tuple[float, float],
) -> None:
    expected = all(0.25 < value < 0.75 for value in point)
    on_the_edge = any(value in (0.25, 0.75) for value in point)
    for corners in (SQUARE, SQUARE[::-1], SQUARE[2:] + SQUARE[:2]):
        assert polygon.problem(corners) is None
        assert on_the_edge or polygon.inside(np.array([point]), corners).tolist() == [expected]


@pytest.mark.parametrize("value", [5000 * "9", 20_000 * "["])
def test_what_no_reader_can_take_is_refused_too(tmp_path: Path, value: str) -> None:
    path = tmp_path / "zones.toml"
    path.write_text(f"[defaults]\nevery_nth = {value}\n")
    with pytest.raises(ZonesRefused):
        read_zones(path)
