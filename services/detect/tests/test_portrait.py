import numpy as np
import pytest

from overt.detect.portrait import Region, portrait_region

# Right eye, left eye, nose, right and left mouth corner of a face seen from the front.
FACE = np.array([[80, 100], [120, 100], [100, 120], [85, 145], [115, 145]], np.float32)


def test_a_portrait_is_a_square_of_fixed_size_in_eye_distances_with_the_eyes_at_a_fixed_height() -> None:
    region = portrait_region(FACE, 640, 480)
    assert region == Region(left=16, top=24, right=184, bottom=192)


@pytest.mark.parametrize("offset", [(-120, -120), (520, 370), (-500, -500), (1500, 1500)])
def test_a_portrait_at_the_border_stays_inside_and_is_never_empty(offset: tuple[int, int]) -> None:
    region = portrait_region(FACE + np.array(offset, np.float32), 640, 480)
    assert 0 <= region.left < region.right <= 640
    assert 0 <= region.top < region.bottom <= 480


def test_a_face_that_turns_away_does_not_grow_in_the_frame() -> None:
    turned = FACE.copy()
    turned[:, 0] = 100 + (turned[:, 0] - 100) * 0.3
    ahead, aside = portrait_region(FACE, 640, 480), portrait_region(turned, 640, 480)
    assert aside.right - aside.left >= 0.9 * (ahead.right - ahead.left)


def test_boxes_and_pixels_move_into_the_region_together() -> None:
    picture = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    region = Region(5, 4, 25, 18)
    box = np.array([[7, 6, 11, 9]], np.float32)
    assert region.shifted(box).tolist() == [[2, 2, 6, 5]]
    np.testing.assert_array_equal(region.cut(picture)[2:5, 2:6], picture[6:9, 7:11])
