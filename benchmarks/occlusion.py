"""Measures how often covered eyes and mouths are noticed, and how often bare ones are taken for covered.

    uv run python benchmarks/occlusion.py --lfw FOLDER --models .cache/models [--fit]

FOLDER holds one folder a person; of up to `--people` people the first picture is taken, as it is and with a mask,
sunglasses, a hand over the mouth or over one eye drawn into it by its landmarks; the face is then looked for
anew. What is drawn is plainer than the real thing: real masks have prints, real sunglasses mirror. And some people
"as they are" do wear sunglasses. Every other person is for `--fit`, the rest for the figures. Bare faces are also
told apart by how light the cheeks are in the picture, in thirds: of light and skin together, which can't be parted.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from overt.recognition.align import align_crop
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.quality import RULES, light
from overt.recognition.quality.occlusion import (
    EYES_LINE,
    MOUTH_LINE,
    Line,
    eye_features,
    mouth_features,
)

SEED = 11
MASK_COLOURS = ((150, 190, 215), (240, 240, 240), (25, 25, 30), (60, 110, 80), (200, 160, 150))
Floats = NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Frame:
    """A face's own axes in its picture: along the eyes and down to the mouth, one eye distance long."""

    landmarks_52: Floats
    along_2: Floats
    down_2: Floats

    @classmethod
    def of(cls, landmarks_52: NDArray[np.float32]) -> "Frame":
        right, left, _, *mouth = landmarks_52.astype(np.float64)
        along, down = left - right, np.mean(mouth, axis=0) - (right + left) / 2
        return cls(landmarks_52.astype(np.float64), along, down / np.hypot(*down) * np.hypot(*along))

    @property
    def unit_px(self) -> float:
        return float(np.hypot(*self.along_2))

    def at(self, origin_2: Floats, along: float, down: float) -> tuple[float, float]:
        x, y = origin_2 + along * self.along_2 + down * self.down_2
        return float(x), float(y)


def masked(picture: Image.Image, frame: Frame, random: Random) -> Image.Image:
    nose, top = frame.landmarks_52[2], float(random.uniform(-0.05, 0.15))
    half = ((0.0, -0.35 + top), (0.25, -0.25 + top), (1.0, -0.15 + top), (0.95, 0.8), (0.5, 1.35), (0.0, 1.5))
    outline = [frame.at(nose, x, y) for x, y in half] + [frame.at(nose, -x, y) for x, y in half[-2:0:-1]]
    layer = Image.new("L", picture.size, 0)
    ImageDraw.Draw(layer).polygon(outline, fill=255)
    # The light on the face also falls on the mask.
    shade_HW1 = _smooth(picture, 0.25 * frame.unit_px)
    colour = MASK_COLOURS[int(random.integers(len(MASK_COLOURS)))]
    cloth_HWC = (0.6 + 0.4 * shade_HW1) * colour + random.normal(0, 3, (picture.height, picture.width, 3))
    return _pasted(picture, cloth_HWC, layer.filter(ImageFilter.GaussianBlur(1)))


def with_sunglasses(picture: Image.Image, frame: Frame, random: Random) -> Image.Image:
    size, tint, opacity = random.uniform(0.36, 0.48), random.integers(5, 50), int(random.integers(225, 256))
    layer = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(layer)
    turns = np.linspace(0, 2 * np.pi, 30)
    for eye in frame.landmarks_52[:2]:
        rim = [frame.at(eye, np.cos(t) * size, np.sin(t) * size * 0.8 + 0.06) for t in turns]
        draw.polygon(rim, fill=opacity)
    right, left = frame.landmarks_52[:2]
    width = max(2, round(0.06 * frame.unit_px))
    for first, second in (
        (frame.at(right, 0.3, -0.05), frame.at(left, -0.3, -0.05)),
        (frame.at(right, -0.9, -0.1), frame.at(right, -0.3, -0.1)),
        (frame.at(left, 0.9, -0.1), frame.at(left, 0.3, -0.1)),
    ):
        draw.line([first, second], fill=255, width=width)
    glass_HWC = np.full((picture.height, picture.width, 3), float(tint))
    return _pasted(picture, glass_HWC, layer.filter(ImageFilter.GaussianBlur(0.7)))


def hand_over_mouth(picture: Image.Image, frame: Frame, random: Random) -> Image.Image:
    return _hand(
        picture, frame, frame.landmarks_52[3:].mean(axis=0), float(random.uniform(-0.5, 0.5)), random
    )


def hand_over_eye(picture: Image.Image, frame: Frame, random: Random) -> Image.Image:
    eye = frame.landmarks_52[int(random.integers(2))]
    return _hand(picture, frame, eye, float(random.uniform(-0.5, 0.5)) + np.pi / 2, random)


def _hand(picture: Image.Image, frame: Frame, middle_2: Floats, angle: float, random: Random) -> Image.Image:  # noqa: PLR0917
    """Draw four fingers of the cheek's own colour, lying at `angle` to the line of the eyes."""
    along = (np.cos(angle) * frame.along_2 + np.sin(angle) * frame.down_2) / frame.unit_px
    across = np.array([-along[1], along[0]])
    width = 0.22 * frame.unit_px
    layer = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(layer)
    rows_HW, columns_HW = np.mgrid[: picture.height, : picture.width]
    shade_HW = np.ones((picture.height, picture.width))
    for finger in range(-2, 2):
        line_2 = middle_2 + across * (finger + 0.5) * width
        for end in (-1.0, 1.0):
            tip = line_2 + end * along * frame.unit_px * random.uniform(0.6, 1.0)
            draw.line([tuple(line_2), tuple(tip)], fill=255, width=round(width) + 1)
            draw.ellipse((*(tip - width / 2), *(tip + width / 2)), fill=255)
        away_HW = (columns_HW - line_2[0]) * across[0] + (rows_HW - line_2[1]) * across[1]
        inside_HW = np.abs(away_HW) / (width / 2)
        shade_HW = np.where(inside_HW < 1, 1 - 0.25 * inside_HW**3, shade_HW)
    skin = _cheek(picture, frame) * random.uniform(0.8, 1.15)
    hand_HWC = shade_HW[..., None] * skin + random.normal(0, 4, (picture.height, picture.width, 3))
    return _pasted(picture, hand_HWC, layer.filter(ImageFilter.GaussianBlur(0.8)))


def _cheek(picture: Image.Image, frame: Frame) -> Floats:
    x, y = (round(value) for value in frame.at(frame.landmarks_52[:2].mean(axis=0), 0.45, 0.55))
    patch_HWC = np.asarray(picture.crop((x - 2, y - 2, x + 3, y + 3)), np.float64)
    colour: Floats = patch_HWC.reshape(-1, 3).mean(axis=0)
    return colour


def _smooth(picture: Image.Image, radius_px: float) -> Floats:
    light_HW = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(radius_px)), np.float64)
    return (light_HW / max(float(light_HW.max()), 1.0))[..., None]


def _pasted(picture: Image.Image, what_HWC: Floats, layer: Image.Image) -> Image.Image:
    covered = picture.copy()
    covered.paste(Image.fromarray(what_HWC.clip(0, 255).astype(np.uint8)), (0, 0), layer)
    return covered


COVERS: Mapping[str, Callable[[Image.Image, Frame, Random], Image.Image]] = {
    "mask": masked,
    "hand over mouth": hand_over_mouth,
    "sunglasses": with_sunglasses,
    "hand over eye": hand_over_eye,
}
MOUTHS, EYES = ("mask", "hand over mouth"), ("sunglasses", "hand over eye")


@dataclass(frozen=True, slots=True)
class Faces:
    """N faces: the number of the person, what covers it, the two proxies' features, luma of the cheeks."""

    people_N: NDArray[np.intp]
    covers_N: NDArray[np.str_]
    eyes_N3: Floats
    mouths_N3: Floats
    cheeks_N: Floats


def collect(folder: Path, pack: Pack, people: int) -> Faces:
    """Return the bare and covered faces of the people; a covered face that is not found is told."""
    random = np.random.default_rng(SEED)
    rows: list[tuple[int, str, tuple[float, ...], tuple[float, ...], float]] = []
    lost = dict.fromkeys(COVERS, 0)
    for number, person in enumerate(sorted(folder.iterdir())[:people]):
        image_HWC = load_picture(min(person.glob("*.jpg")))
        found = pack.detector.detect(image_HWC)
        if len(found) == 0:
            continue
        picture, frame = Image.fromarray(image_HWC), Frame.of(found.landmarks_N52[0])
        for cover in ("none", *COVERS):
            drawn = picture if cover == "none" else COVERS[cover](picture, frame, random)
            again = pack.detector.detect(np.asarray(drawn))
            if len(again) == 0:
                lost[cover] += 1
                continue
            luma_HW = light.luma(align_crop(np.asarray(drawn), again.landmarks_N52[0]))
            cheeks = np.concatenate([luma_HW[60:76, 30:44].ravel(), luma_HW[60:76, 68:82].ravel()])
            rows.append(
                (number, cover, eye_features(luma_HW), mouth_features(luma_HW), float(np.median(cheeks)))
            )
    print("covered faces that the detector no longer finds:", lost)
    number_N, cover_N, eyes_N3, mouths_N3, cheek_N = zip(*rows, strict=True)
    return Faces(
        np.array(number_N), np.array(cover_N), np.array(eyes_N3), np.array(mouths_N3), np.array(cheek_N)
    )


def fit(features_N3: Floats, seen_N: NDArray[np.bool_]) -> Line:
    """Return the logistic regression of `seen_N`, both sides weighing alike, by Newton's method with a ridge."""
    mean_3, deviation_3 = features_N3.mean(axis=0), features_N3.std(axis=0)
    rows_N4 = np.column_stack([(features_N3 - mean_3) / deviation_3, np.ones(len(seen_N))])
    weight_N = np.where(seen_N, 0.5 / seen_N.mean(), 0.5 / (1 - seen_N.mean()))
    ridge_4 = 0.003 * len(seen_N) * np.array([1.0, 1.0, 1.0, 0.0])
    found_4 = np.zeros(4)
    for _ in range(40):
        share_N = 1 / (1 + np.exp(-rows_N4 @ found_4))
        slope_44 = (rows_N4 * (weight_N * share_N * (1 - share_N))[:, None]).T @ rows_N4 + np.diag(ridge_4)
        step_4 = rows_N4.T @ (weight_N * (seen_N - share_N)) - ridge_4 * found_4
        found_4 = found_4 + np.linalg.solve(slope_44, step_4)
    weights_3 = found_4[:3] / deviation_3
    a, b, c = (round(float(value), 1) for value in weights_3)
    return Line((a, b, c), round(float(found_4[3] - weights_3 @ mean_3), 1))


def _below(line: Line, features_N3: Floats, limit: float) -> NDArray[np.bool_]:
    return np.array([line.share((float(a), float(b), float(c))) < limit for a, b, c in features_N3])


def report(faces: Faces, held_out_N: NDArray[np.bool_]) -> None:
    bare_N = held_out_N & (faces.covers_N == "none")
    third_N = np.digitize(faces.cheeks_N, np.quantile(faces.cheeks_N[bare_N], (1 / 3, 2 / 3)))
    limits = {rule.name: rule.enrolment for rule in RULES}
    for name, line, features_N3 in (
        ("eyes_visible", EYES_LINE, faces.eyes_N3),
        ("mouth_visible", MOUTH_LINE, faces.mouths_N3),
    ):
        below_N = _below(line, features_N3, limits[name])
        thirds = [below_N[bare_N & (third_N == third)] for third in range(3)]
        print(f"{name} below {limits[name]}, refused for enrolment")
        print(
            f"  bare: {below_N[bare_N].sum()} of {bare_N.sum()}; by lightness of the cheeks, dark to light: "
            + ", ".join(f"{one.sum()} of {len(one)}" for one in thirds)
        )
        for cover in COVERS:
            own_N = held_out_N & (faces.covers_N == cover)
            print(f"  {cover}: {below_N[own_N].sum()} of {own_N.sum()} = {below_N[own_N].mean():.1%}")


def report_recognised(folder: Path, pack: Pack, people: int) -> None:
    """Print how many covered faces are still recognised by another photograph of the person."""
    random = np.random.default_rng(SEED)
    several = [one for one in sorted(folder.iterdir()) if len(list(one.glob("*.jpg"))) > 1][:people]
    scores: dict[str, list[float]] = {cover: [] for cover in ("none", *COVERS)}
    for person in several:
        first, second = (load_picture(path) for path in sorted(person.glob("*.jpg"))[:2])
        reference_D, found = _template(pack, first), pack.detector.detect(second)
        if reference_D is None or len(found) == 0:
            continue
        frame = Frame.of(found.landmarks_N52[0])
        for cover, own in scores.items():
            picture = Image.fromarray(second)
            drawn = picture if cover == "none" else COVERS[cover](picture, frame, random)
            probe_D = _template(pack, np.asarray(drawn))
            own.append(-1.0 if probe_D is None else float(probe_D @ reference_D))
    threshold = pack.info.calibration.default_threshold
    assert threshold is not None
    print(f"recognised at {threshold} by another photograph")
    for cover, own in scores.items():
        print(f"  {cover}: {np.mean(np.array(own) >= threshold):.1%} of {len(own)}")


def _template(pack: Pack, image_HWC: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    found = pack.detector.detect(image_HWC)
    if len(found) == 0:
        return None
    crop_HWC = pack.aligner.crop(image_HWC, found.landmarks_N52[0])
    template_D: NDArray[np.float32] = pack.embedder.embed(crop_HWC[np.newaxis])[0]
    return template_D


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Error rates of the occlusion proxies.")
    parser.add_argument("--lfw", type=Path, required=True, help="one folder a person")
    parser.add_argument(
        "--models", type=Path, required=True, help="where `overt models fetch` put the models"
    )
    parser.add_argument("--people", type=int, default=1600)
    parser.add_argument("--fit", action="store_true", help="also fit the two lines anew")
    options = parser.parse_args(arguments)
    pack = load_pack("cpu", options.models)
    faces = collect(options.lfw, pack, options.people)
    fitted_N = faces.people_N % 2 == 0
    if options.fit:
        for name, features_N3, covers in (("eyes", faces.eyes_N3, EYES), ("mouth", faces.mouths_N3, MOUTHS)):
            print(name, fit(features_N3[fitted_N], ~np.isin(faces.covers_N[fitted_N], covers)))
        print("in the library:", EYES_LINE, MOUTH_LINE)
    report(faces, ~fitted_N)
    report_recognised(options.lfw, pack, options.people // 4)


if __name__ == "__main__":
    main()
