"""What every model pack promises, whatever it runs on: one suite over all of them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from overt.recognition.pack import Pack
from overt.recognition.pack_spec import fingerprint, pack_names, read_spec

Photographs = Mapping[str, NDArray[np.uint8]]
MAN = ("obama", "obama2", "obama3")


def eye_distance_px(landmarks_52: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(landmarks_52[1] - landmarks_52[0]))


def off(first_52: NDArray[np.float32], second_52: NDArray[np.float32]) -> float:
    """Return the furthest that two sets of landmarks lie apart, in inter-eye distances."""
    apart_5 = np.linalg.norm(first_52 - second_52, axis=1)
    return float(apart_5.max()) / eye_distance_px(first_52)


class PackContract:
    """A test class names its pack by a fixture `pack`; `photographs` are the six samples."""

    # How far apart landmarks of one face may lie that was seen in another way, in inter-eye distances.
    seen_otherwise = 0.1
    # Between one man and others, with room on both sides, in good light: no operating point.
    threshold = 0.55

    def crops(self, pack: Pack, photographs: Photographs) -> dict[str, NDArray[np.uint8]]:
        return {
            name: pack.aligner.crop(image_HWC, pack.detector.detect(image_HWC).landmarks_N52[0])
            for name, image_HWC in photographs.items()
        }

    def test_it_is_what_its_file_says(self, pack: Pack) -> None:
        spec = read_spec(pack.info.name)[0]

        assert pack.info.fingerprint == fingerprint(spec)
        assert len(pack.info.fingerprint) == 64
        assert pack.aligner.size_px == pack.info.crop_size_px == spec.aligner.size_px
        assert np.array_equal(pack.aligner.template_52, np.array(spec.aligner.template))
        assert pack.embedder.dimension == pack.info.dimension == spec.embedder.dimension
        assert pack.info.licences

    def test_no_other_pack_has_its_fingerprint(self, pack: Pack) -> None:
        others = [read_spec(name)[0] for name in pack_names() if name != pack.info.name]

        assert pack.info.fingerprint not in {fingerprint(other) for other in others}

    def test_each_portrait_has_one_face_with_landmarks_where_they_belong(
        self, pack: Pack, photographs: Photographs
    ) -> None:
        """The person's right is on the left of the picture."""
        for name, image_HWC in photographs.items():
            found = pack.detector.detect(image_HWC)
            assert len(found) == 1, name
            left, top, right, bottom = found.boxes_N4[0]
            right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks_N52[0]
            assert left < right_eye[0] < nose[0] < left_eye[0] < right
            assert top < right_eye[1] < nose[1] < right_mouth[1] < bottom
            assert right_mouth[0] < left_mouth[0]
            assert 0.6 < found.scores_N[0] <= 1

    def test_a_mirrored_face_has_mirrored_landmarks(self, pack: Pack, photographs: Photographs) -> None:
        image_HWC = photographs["biden"][:1100, :]
        there_52 = pack.detector.detect(image_HWC).landmarks_N52[0]

        back_52 = pack.detector.detect(image_HWC[:, ::-1].copy()).landmarks_N52[0][[1, 0, 2, 4, 3]]

        back_52[:, 0] = image_HWC.shape[1] - 1 - back_52[:, 0]
        assert off(there_52, back_52) < self.seen_otherwise

    def test_a_batch_finds_what_one_at_a_time_does(self, pack: Pack, photographs: Photographs) -> None:
        man = np.asarray(Image.fromarray(photographs["obama"]).reduce(3))
        other = np.asarray(Image.fromarray(photographs["biden"]).reduce(3))
        pictures = [man, other, man[:, ::-1].copy(), np.zeros((0, 7, 3), np.uint8), np.zeros_like(man), man]

        together = pack.detector.detect_batch(pictures)

        assert [len(found) for found in together] == [1, 1, 1, 0, 0, 1]
        for alone, batched in zip(pictures, together, strict=True):
            expected = pack.detector.detect(alone)
            assert np.allclose(expected.boxes_N4, batched.boxes_N4, atol=1e-2)
            assert np.allclose(expected.landmarks_N52, batched.landmarks_N52, atol=1e-2)
            assert np.allclose(expected.scores_N, batched.scores_N, atol=1e-4)

    def test_the_same_network_can_be_asked_for_more_doubtful_faces(
        self, pack: Pack, photographs: Photographs
    ) -> None:
        small = Image.fromarray(photographs["obama"]).resize((28, 36))
        blurred_HWC = np.asarray(small.resize((280, 360)))

        sure, doubtful = (pack.detector.with_score(score).detect(blurred_HWC) for score in (0.999999, 0.05))

        assert len(sure) < len(doubtful)
        assert (doubtful.scores_N >= 0.05).all()
        assert (np.diff(doubtful.scores_N) <= 0).all(), "the surest first"

    def test_a_picture_is_seen_smaller_if_asked_and_never_enlarged(
        self, pack: Pack, photographs: Photographs
    ) -> None:
        image_HWC = photographs["astronaut"]
        as_it_is = pack.detector.detect(image_HWC, longest_side_px=512)

        never_larger = pack.detector.detect(image_HWC, longest_side_px=4000)
        smaller = pack.detector.detect(image_HWC, longest_side_px=256)
        too_small = pack.detector.detect(image_HWC, longest_side_px=24)

        assert np.array_equal(as_it_is.landmarks_N52, never_larger.landmarks_N52)
        assert not np.array_equal(as_it_is.landmarks_N52, smaller.landmarks_N52)
        assert off(as_it_is.landmarks_N52[0], smaller.landmarks_N52[0]) < 2 * self.seen_otherwise
        assert len(too_small) == 0

    def test_a_picture_decoded_at_half_size_gives_the_same_faces_in_full_size_pixels(
        self, pack: Pack, photographs: Photographs
    ) -> None:
        image_HWC = photographs["biden"][:1200, :960]
        half_HWC = np.asarray(Image.fromarray(image_HWC).reduce(2))

        whole = pack.detector.detect(image_HWC, longest_side_px=1200)
        halved = pack.detector.detect(half_HWC, longest_side_px=600).scaled(2.0)

        assert len(whole) == len(halved) == 1
        assert off(whole.landmarks_N52[0], halved.landmarks_N52[0]) < self.seen_otherwise

    def test_nothing_noise_and_plain_colour_have_no_face(self, pack: Pack) -> None:
        random = np.random.default_rng(0)
        for image_HWC in (
            np.zeros((0, 10, 3), np.uint8),
            np.zeros((1, 1, 3), np.uint8),
            np.full((270, 480, 3), 128, np.uint8),
            random.integers(0, 255, (270, 480, 3), np.uint8),
        ):
            assert len(pack.detector.detect(image_HWC)) == 0

    def test_what_is_no_rgb_picture_is_refused(self, pack: Pack) -> None:
        wrong: Any
        for wrong in (
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
            np.zeros((4, 4, 4), np.uint8),
        ):
            with pytest.raises(ValueError, match="expected uint8"):
                pack.detector.detect(wrong)

    def test_what_are_no_crops_of_its_size_is_refused(self, pack: Pack) -> None:
        side = pack.info.crop_size_px
        wrong: Any
        for wrong in (
            np.zeros((1, side + 1, side, 3), np.uint8),
            np.zeros((side, side, 3), np.uint8),
            np.zeros((1, side, side, 3)),
        ):
            with pytest.raises(ValueError, match="expected uint8"):
                pack.embedder.embed(wrong)

    def test_no_crops_give_no_templates(self, pack: Pack) -> None:
        side = pack.info.crop_size_px

        assert pack.embedder.embed(np.zeros((0, side, side, 3), np.uint8)).shape == (0, pack.info.dimension)

    def test_a_template_is_a_unit_row_that_does_not_depend_on_the_rest_of_its_batch(
        self, pack: Pack, photographs: Photographs
    ) -> None:
        """Batches of one, of a size of their own, and of more crops than any network sees at once."""
        crops_NHWC = np.stack(list(self.crops(pack, photographs).values()))
        alone_ND = np.concatenate([pack.embedder.embed(crop[np.newaxis]) for crop in crops_NHWC])

        for rows in ([0, 1, 2, 3, 4, 5], [2, 0, 4], [5, 1] * 17):
            together_ND = pack.embedder.embed(crops_NHWC[rows])
            assert together_ND.dtype == np.float32
            assert together_ND.shape == (len(rows), pack.info.dimension)
            assert np.allclose(together_ND, alone_ND[rows], atol=1e-4)
            assert np.allclose(np.linalg.norm(together_ND, axis=1), 1.0, atol=1e-6)

    def test_the_colours_of_a_crop_are_told_apart(self, pack: Pack, photographs: Photographs) -> None:
        crop_HWC = self.crops(pack, photographs)["astronaut"]

        rgb_D, bgr_D = pack.embedder.embed(np.stack([crop_HWC, crop_HWC[..., ::-1]]))

        assert rgb_D @ bgr_D < 0.99

    def test_a_face_on_a_slant_is_the_same_face(self, pack: Pack, photographs: Photographs) -> None:
        upright = Image.fromarray(photographs["astronaut"])
        slanted = upright.rotate(15, Image.Resampling.BILINEAR)

        templates = pack.embedder.embed(
            np.stack(list(self.crops(pack, {"a": np.asarray(upright), "b": np.asarray(slanted)}).values()))
        )

        assert templates[0] @ templates[1] > 0.8

    def test_one_man_is_alike_across_photographs_and_different_people_are_not(
        self, pack: Pack, photographs: Photographs
    ) -> None:
        crops = self.crops(pack, photographs)
        names = list(crops)
        threshold = self.threshold

        templates_ND = pack.embedder.embed(np.stack([crops[name] for name in names]))

        similarity = templates_ND @ templates_ND.T
        for row, first in enumerate(names):
            for column, second in enumerate(names[:row]):
                same = first in MAN and second in MAN
                value = similarity[row, column]
                assert value > threshold + 0.05 if same else value < threshold - 0.15, (first, second, value)

    def test_threads_that_share_it_get_what_one_alone_gets(
        self, pack: Pack, photographs: Photographs
    ) -> None:
        pictures = [np.asarray(Image.fromarray(photographs[name]).reduce(4)) for name in ("obama", "biden")]
        crops = list(self.crops(pack, photographs).values())[:2]

        def both(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            found = pack.detector.detect(pictures[number % 2])
            return found.landmarks_N52, pack.embedder.embed(crops[number % 2][np.newaxis])

        alone = [both(number) for number in range(2)]
        with ThreadPoolExecutor(4) as pool:
            shared = list(pool.map(both, range(8)))

        for number, (landmarks_N52, template_1D) in enumerate(shared):
            assert np.allclose(landmarks_N52, alone[number % 2][0], atol=1e-2)
            assert np.allclose(template_1D, alone[number % 2][1], atol=1e-4)
