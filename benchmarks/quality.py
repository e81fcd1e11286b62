"""Measures whether the quality score means anything: errors as the worst pictures are discarded.

    uv run --with matplotlib python benchmarks/quality.py --lfw FOLDER --models .cache/models --out FOLDER

FOLDER holds one folder a person, the person's face nearest to the middle (as in Labeled Faces in the Wild).
Of everybody with two pictures or more, up to five are taken, each as it is and once spoilt: blurred, reduced,
darkened, burnt out, noisy or compressed, how much by chance. Mated pairs are of two different photographs of
one person, at least one of them as it is. The pictures with the lowest score are left out, then more, and the
false non-match rate of the pairs that stay is taken at one threshold (error-versus-discard characteristic,
Grother and Tabassi 2007; ISO/IEC 29794-1). Every other person is for the search of exponents (`--search`), the
rest for the figures. Intervals: 200 bootstraps by person.
"""

import argparse
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.quality import (
    PARTS,
    RULES,
    Components,
    Quality,
    assess,
    enrolment_refusals,
    probe_ok,
    unified_score,
)

SEED = 7
PICTURES_A_PERSON = 5
DISCARDED = np.arange(0, 0.55, 0.05)
# What is searched with: the area up to this share, which somebody might indeed discard.
SEARCHED_UP_TO = 7
BOOTSTRAPS = 200
EXPONENTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)

Random = np.random.Generator


def _jpeg(picture: Image.Image, quality: float) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=round(quality))
    return Image.open(buffer).convert("RGB")


def _reduced(picture: Image.Image, share: float) -> Image.Image:
    size = (round(picture.width * share), round(picture.height * share))
    return picture.resize(size, Image.Resampling.BOX)


def _noisy(picture: Image.Image, deviation: float) -> Image.Image:
    # Seeded by the picture's own size of noise: the same picture is spoilt alike in every run.
    random = np.random.default_rng(round(deviation * 1e6))
    values_HWC = np.asarray(picture) + random.normal(0, deviation, (picture.height, picture.width, 3))
    return Image.fromarray(values_HWC.clip(0, 255).astype(np.uint8))


def _lit(picture: Image.Image, factor: float) -> Image.Image:
    return picture.point(lambda value: min(255, value * factor))


@dataclass(frozen=True, slots=True)
class Spoiling:
    """A way to spoil a picture, from hardly to badly; how much is drawn between, by logarithm."""

    apply: Callable[[Image.Image, float], Image.Image]
    least: float
    most: float


SPOILINGS: Mapping[str, Spoiling] = {
    "blur": Spoiling(lambda picture, radius: picture.filter(ImageFilter.GaussianBlur(radius)), 1.0, 5.0),
    "small": Spoiling(_reduced, 0.5, 0.12),
    "dark": Spoiling(_lit, 0.3, 0.03),
    "bright": Spoiling(_lit, 1.5, 6.0),
    "noise": Spoiling(_noisy, 10.0, 80.0),
    "jpeg": Spoiling(_jpeg, 20.0, 3.0),
}


@dataclass(frozen=True, slots=True)
class Looks:
    """N faces: whose, in which photograph, spoilt how ("as is" if not), their templates and components."""

    people_N: NDArray[np.str_]
    photographs_N: NDArray[np.str_]
    kinds_N: NDArray[np.str_]
    templates_ND: NDArray[np.float32]
    components: tuple[Components, ...]

    def of(self, people: NDArray[np.str_]) -> "Looks":
        """Return the looks at these people only."""
        kept = np.isin(self.people_N, people)
        return Looks(
            self.people_N[kept],
            self.photographs_N[kept],
            self.kinds_N[kept],
            self.templates_ND[kept],
            tuple(one for one, keep in zip(self.components, kept, strict=True) if keep),
        )


def look_at(pack: Pack, image_HWC: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Components] | None:
    """Return template and components of the face nearest to the middle, None where no face is found."""
    found = pack.detector.detect(image_HWC)
    if len(found) == 0:
        return None
    middle_2 = np.array(image_HWC.shape[1::-1], np.float32) / 2
    away_N = np.linalg.norm(found.boxes_N4.reshape(-1, 2, 2).mean(axis=1) - middle_2, axis=1)
    index = int(np.argmin(away_N))
    landmarks_52 = found.landmarks_N52[index]
    quality = assess(image_HWC, box=found.boxes_N4[index], landmarks_52=landmarks_52)
    return pack.embedder.embed(pack.aligner.crop(image_HWC, landmarks_52)[None])[0], quality.components


def collect(folder: Path, pack: Pack, most_people: int) -> Looks:
    """Return the looks at everybody with two pictures or more; what no face is found in is told."""
    random = np.random.default_rng(SEED)
    several = [one for one in sorted(folder.iterdir()) if len(list(one.glob("*.jpg"))) > 1][:most_people]
    names: list[tuple[str, str, str]] = []
    looks: list[tuple[NDArray[np.float32], Components]] = []
    lost = dict.fromkeys(("as is", *SPOILINGS), 0)
    for number, person in enumerate(several):
        for path in sorted(person.glob("*.jpg"))[:PICTURES_A_PERSON]:
            for kind, image_HWC in _as_it_is_and_spoilt(path, random):
                look = look_at(pack, image_HWC)
                if look is None:
                    lost[kind] += 1
                else:
                    names.append((person.name, path.name, kind))
                    looks.append(look)
        if number % 100 == 0:
            print(f"{number} of {len(several)} people", file=sys.stderr)
    print("no face found (failure to acquire):", lost)
    people, photographs, kinds = (np.array(column) for column in zip(*names, strict=True))
    return Looks(
        people, photographs, kinds, np.stack([one for one, _ in looks]), tuple(one for _, one in looks)
    )


def _as_it_is_and_spoilt(path: Path, random: Random) -> tuple[tuple[str, NDArray[np.uint8]], ...]:
    image_HWC = load_picture(path)
    kind = list(SPOILINGS)[int(random.integers(len(SPOILINGS)))]
    way = SPOILINGS[kind]
    amount = float(np.exp(random.uniform(*np.sort(np.log((way.least, way.most))))))
    return ("as is", image_HWC), (kind, np.asarray(way.apply(Image.fromarray(image_HWC), amount)))


@dataclass(frozen=True, slots=True)
class Pairs:
    """P mated pairs: the two looks' indices, whose they are, and their similarity."""

    first_P: NDArray[np.intp]
    second_P: NDArray[np.intp]
    person_P: NDArray[np.intp]
    scores_P: NDArray[np.float32]


def mated_pairs(looks: Looks) -> Pairs:
    """Return every pair of looks at one person in different photographs, one of them as it is."""
    first, second, owner = [], [], []
    for number, person in enumerate(np.unique(looks.people_N)):
        own = np.flatnonzero(looks.people_N == person)
        a, b = (own[index] for index in np.triu_indices(len(own), 1))
        kept = looks.photographs_N[a] != looks.photographs_N[b]
        kept &= (looks.kinds_N[a] == "as is") | (looks.kinds_N[b] == "as is")
        first.append(a[kept])
        second.append(b[kept])
        owner.append(np.full(int(kept.sum()), number))
    a, b = np.concatenate(first), np.concatenate(second)
    scores_P = (looks.templates_ND[a] * looks.templates_ND[b]).sum(axis=1)
    return Pairs(a, b, np.concatenate(owner), scores_P)


def discard_curve(
    quality_N: NDArray[np.float64],
    pairs: Pairs,
    threshold: float,
    weights_P: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the FNMR at `threshold` for each of DISCARDED, the share of pictures left out."""
    rank_N = np.argsort(np.argsort(quality_N, kind="stable"), kind="stable") / len(quality_N)
    rank_P = np.minimum(rank_N[pairs.first_P], rank_N[pairs.second_P])
    failed_P = (pairs.scores_P < threshold).astype(np.float64)
    weights_P = np.ones(len(failed_P)) if weights_P is None else weights_P
    kept_DP = rank_P[None] >= DISCARDED[:, None] - 1e-9
    curve_D: NDArray[np.float64] = (kept_DP * (weights_P * failed_P)).sum(axis=1) / (kept_DP * weights_P).sum(
        axis=1
    )
    return curve_D


def interval(quality_N: NDArray[np.float64], pairs: Pairs, threshold: float) -> NDArray[np.float64]:
    """Return the 2.5 and 97.5 % points of the curve over people drawn with replacement, 2 x D."""
    random = np.random.default_rng(SEED)
    people = int(pairs.person_P.max()) + 1
    curves = []
    for _ in range(BOOTSTRAPS):
        drawn = np.bincount(random.integers(people, size=people), minlength=people).astype(np.float64)
        curves.append(discard_curve(quality_N, pairs, threshold, drawn[pairs.person_P]))
    bounds_2D: NDArray[np.float64] = np.percentile(curves, (2.5, 97.5), axis=0)
    return bounds_2D


def search(looks: Looks, threshold: float) -> dict[str, float]:
    """Return the exponents with the least mean FNMR, found one by one from those of the library."""
    pairs = mated_pairs(looks)
    logs_NK = np.log(
        [[max(part.value(one), 1e-3) for part in PARTS] for one in looks.components]  # a zero stays worst
    )
    best_K = np.array([part.exponent for part in PARTS])

    def area(exponents_K: NDArray[np.float64]) -> float:
        return float(discard_curve(logs_NK @ exponents_K, pairs, threshold)[:SEARCHED_UP_TO].mean())

    least = area(best_K)
    for _ in range(3):
        for index in range(len(best_K)):
            for exponent in EXPONENTS:
                tried_K = best_K.copy()
                tried_K[index] = exponent
                if (found := area(tried_K)) < least - 1e-5:
                    least, best_K = found, tried_K
    return {part.name: float(value) for part, value in zip(PARTS, best_K, strict=True)}


def report_gates(looks: Looks, threshold: float) -> None:
    """Print what each gate turns away, and how much of it would have been recognised."""
    as_is_N = looks.kinds_N == "as is"
    best_N = np.array([_best_mate(looks, index, as_is_N) for index in range(len(as_is_N))])
    known_N = np.isfinite(best_N)
    qualities = [Quality(0, one) for one in looks.components]
    refused = {
        "enrolment": np.array([bool(enrolment_refusals(one)) for one in qualities]),
        "probe": np.array([not probe_ok(one) for one in qualities]),
    }
    for rule in RULES:
        refused[f"  {rule.name} (probe)"] = np.array(
            [rule.refusal(one, rule.probe) is not None for one in looks.components]
        )
    print("gate: pictures refused as they are / spoilt; of the refused, recognised all the same")
    for name, refused_N in refused.items():
        seen_N = refused_N & known_N
        again = f"{np.mean(best_N[seen_N] >= threshold):.0%} of {seen_N.sum()}" if seen_N.any() else "none"
        print(f"  {name}: {refused_N[as_is_N].mean():.2%} / {refused_N[~as_is_N].mean():.1%}; {again}")
    print("refused for enrolment as they are, by rule:")
    for rule in RULES:
        share = np.mean(
            [rule.refusal(looks.components[i], rule.enrolment) is not None for i in np.flatnonzero(as_is_N)]
        )
        print(f"  {rule.name}: {share:.2%}")


def _best_mate(looks: Looks, index: int, as_is_N: NDArray[np.bool_]) -> float:
    mates_N = as_is_N & (looks.people_N == looks.people_N[index])
    mates_N &= looks.photographs_N != looks.photographs_N[index]
    if not mates_N.any():
        return float("nan")
    return float((looks.templates_ND[mates_N] @ looks.templates_ND[index]).max())


def plot(path: Path, curves: Mapping[str, NDArray[np.float64]], bounds_2D: NDArray[np.float64]) -> None:
    """Draw the curves; the first has its interval."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4.5))
    axes.fill_between(100 * DISCARDED, *(100 * bounds_2D), alpha=0.2, linewidth=0)
    for number, (name, curve_D) in enumerate(curves.items()):
        axes.plot(100 * DISCARDED, 100 * curve_D, label=name, linewidth=2.2 if number == 0 else 1.1)
    axes.set(xlabel="pictures discarded, %", ylabel="false non-match rate, %", ylim=(0, None))
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def report(looks: Looks, threshold: float, out: Path) -> None:
    """Print and keep the curves of people whom the exponents never saw."""
    pairs = mated_pairs(looks)
    random = np.random.default_rng(SEED)
    tie_N = random.random(len(looks.components)) * 1e-9  # equal values are discarded in no order
    qualities: dict[str, NDArray[np.float64]] = {
        "unified score": np.array([unified_score(one) for one in looks.components]) + tie_N,
        "at random": random.random(len(looks.components)),
    }
    for part in PARTS:
        qualities[f"{part.name} alone"] = np.array([part.value(one) for one in looks.components]) + tie_N
    curves = {name: discard_curve(quality_N, pairs, threshold) for name, quality_N in qualities.items()}
    bounds_2D = interval(qualities["unified score"], pairs, threshold)
    print(
        f"{len(np.unique(looks.people_N))} people, {len(looks.people_N)} pictures, {len(pairs.scores_P)} mated pairs"
    )
    print(f"FNMR at {threshold} with the lowest 0, 10, 20, 30, 50 % discarded")
    for name, curve_D in curves.items():
        print(f"  {name:<32}" + "  ".join(f"{100 * value:5.1f}" for value in curve_D[[0, 2, 4, 6, 10]]))
    print(
        "  95 % by person"
        + " " * 18
        + "  ".join(f"{100 * a:.1f}-{100 * b:.1f}" for a, b in bounds_2D.T[[0, 2, 4, 6, 10]])
    )
    out.mkdir(parents=True, exist_ok=True)
    content = {name: curve_D.tolist() for name, curve_D in curves.items()}
    (out / "quality-edc.json").write_text(json.dumps({"discarded": DISCARDED.tolist(), **content}, indent=1))
    shown = (
        "unified score",
        "at random",
        "dynamic_range alone",
        "eyes_visible alone",
        "inter_eye_distance_px alone",
        "sharpness alone",
    )
    plot(out / "quality-edc.png", {name: curves[name] for name in shown}, bounds_2D)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Error-versus-discard curve of the quality score.")
    parser.add_argument("--lfw", type=Path, required=True, help="one folder a person")
    parser.add_argument(
        "--models", type=Path, required=True, help="where `overt models fetch` put the models"
    )
    parser.add_argument("--pack", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="where quality-edc.json and .png go")
    parser.add_argument("--people", type=int, default=100_000, help="at most so many people")
    parser.add_argument("--search", action="store_true", help="also search for exponents")
    options = parser.parse_args(arguments)
    pack = load_pack(options.pack, options.models)
    threshold = pack.info.calibration.default_threshold
    if threshold is None:
        parser.error(f"pack {options.pack} has no threshold: nobody measured it")
    looks = collect(options.lfw, pack, options.people)
    people = np.unique(looks.people_N)
    if options.search:
        print("search on the first half:", search(looks.of(people[::2]), threshold))
        print("in the library:", {part.name: part.exponent for part in PARTS})
    held_out = looks.of(people[1::2])
    report(held_out, threshold, options.out)
    report_gates(held_out, threshold)


if __name__ == "__main__":
    main()
