"""Measures how many faces a pack's detector finds: recall against false positives a picture, on WIDER FACE.

    uv run python benchmarks/wider.py FOLDER --pack cpu --out RESULT

FOLDER holds pictures and boxes.csv: image, x, y, w, h (pixels), easy, medium, hard (0 or 1), a row a face.

The figure is *recall at 1 false positive a picture*, of faces of 20 pixels or more:
- A face counts when its box is at least `--least` pixels high once the picture is 640 pixels wide.
- easy, medium and hard are the subsets of the WIDER evaluation (Yang et al. 2016); easy is within medium, medium
  within hard. Faces outside the subset, or too small, are ignored: they can't be missed, and whoever finds one
  has found nothing false.
- Detections are taken surest first. Each belongs to the face, ignored or not, that it overlaps most. If that is
  at least IoU 0.5, it finds the face, or nothing where the face is ignored; a second one on the same face, and
  any that overlaps less, is a false positive, whatever its size.
- The threshold is the lowest at which all pictures together hold no more false positives than there are pictures.
  A detector that runs out of detections before that is measured at its last one; `fp_a_picture` says so.
The whole curve is the free-response ROC (FROC). Intervals are 95 % of 1,000 bootstraps by picture, the threshold
found anew in each: the faces of one picture are not independent, so counting them singly would flatter.

`--width` is how wide the picture is shown to the detector; an enlarged one holds no more than it did, but its
faces come closer to the sizes that the network was trained with. A live camera's picture is never enlarged.

`--nms` shows the same pack with other limits of non-maximum suppression; that is another pack with another
fingerprint, made here for the measurement alone.
"""

import argparse
import csv
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from overt.cli.datafolder import default_cache_dir
from overt.cli.models import models_dir
from overt.recognition.detections import Detections, FaceDetector
from overt.recognition.errors import RecognitionError
from overt.recognition.pack import load_pack
from overt.recognition.picture import load_picture

SUBSETS = ("easy", "medium", "hard")
SCALE_PX = 640
IOU = 0.5
FP_A_PICTURE = 1.0
# Low enough that a curve passes one false positive a picture long before its end.
LOWEST_SCORE = 0.02
BOOTSTRAPS = 1000
SEED = 7

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One picture: its path, F boxes (left, top, right, bottom) and to which subsets each belongs, F x 3."""

    path: Path
    boxes_F4: Floats
    subsets_F3: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What K detections of P pictures came to, surest first: true or false positives; ignored ones are left out.

    picture_K: which picture. faces_P: faces that could have been found in each.
    """

    scores_K: Floats
    true_K: NDArray[np.bool_]
    picture_K: NDArray[np.intp]
    faces_P: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figure:
    """Recall where the false positives reach the limit, with its interval."""

    subset: str
    faces: int
    found: int
    recall: float
    lower_95: float
    upper_95: float
    fp_a_picture: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Setup:
    """One way of detecting that is measured."""

    name: str
    detector: FaceDetector
    width_px: int


def read_labels(folder: Path) -> list[Labelled]:
    """Return the pictures that boxes.csv names."""
    rows: dict[str, list[list[float]]] = {}
    with (folder / "boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            values = [float(row[name]) for name in ("x", "y", "w", "h", *SUBSETS)]
            rows.setdefault(row["image"], []).append(values)
    labelled = []
    for name, values_ in sorted(rows.items()):
        table = np.array(values_)
        boxes_F4 = np.hstack([table[:, :2], table[:, :2] + table[:, 2:4]])
        labelled.append(Labelled(folder / name, boxes_F4, table[:, 4:] > 0))
    return labelled


def overlaps(a_N4: Floats, b_M4: Floats) -> Floats:
    """Return the intersection over union of every box of `a` with every box of `b`, N x M."""
    low_NM2 = np.maximum(a_N4[:, None, :2], b_M4[None, :, :2])
    high_NM2 = np.minimum(a_N4[:, None, 2:], b_M4[None, :, 2:])
    common_NM = np.prod(np.clip(high_NM2 - low_NM2, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a_N4, b_M4)]
    shared_NM: Floats = common_NM / (areas[0][:, None] + areas[1][None] - common_NM)
    return shared_NM


def judge(found: Detections, boxes_F4: Floats, counts_F: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return what each detection, surest first, comes to: 1 finds a face, 0 is false, -1 is not counted.

    `counts_F`: which faces count; the others are ignored.
    """
    verdicts_N = np.zeros(len(found), np.int8)
    if len(boxes_F4) == 0:
        return verdicts_N
    shared_NF = overlaps(found.boxes_N4.astype(np.float64), boxes_F4)
    taken: set[int] = set()
    for index, face in enumerate(shared_NF.argmax(axis=1).tolist()):
        if shared_NF[index, face] < IOU:
            continue
        if not counts_F[face]:
            verdicts_N[index] = -1
        elif face not in taken:
            taken.add(face)
            verdicts_N[index] = 1
    return verdicts_N


def count(
    labelled: Sequence[Labelled],
    found: Sequence[Detections],
    widths_px: Sequence[int],
    *,
    subset: int,
    least_px: float,
) -> Counted:
    """Return the verdicts over all pictures for one of SUBSETS; `widths_px` are the pictures'."""
    scores, verdicts, pictures, faces = [], [], [], []
    for number, (picture, one, width_px) in enumerate(zip(labelled, found, widths_px, strict=True)):
        heights_F = (picture.boxes_F4[:, 3] - picture.boxes_F4[:, 1]) * SCALE_PX / width_px
        counts_F = picture.subsets_F3[:, subset] & (heights_F >= least_px)
        scores.append(one.scores_N.astype(np.float64))
        verdicts.append(judge(one, picture.boxes_F4, counts_F))
        pictures.append(np.full(len(one), number))
        faces.append(int(counts_F.sum()))
    scores_K, verdicts_K, picture_K = (np.concatenate(each) for each in (scores, verdicts, pictures))
    order = np.argsort(-scores_K, kind="stable")
    order = order[verdicts_K[order] >= 0]
    return Counted(scores_K[order], verdicts_K[order] == 1, picture_K[order], np.array(faces))


def curve(counted: Counted, weights_P: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """Return thresholds, false positives a picture and recall; `weights_P`: how often each picture was drawn."""
    weights_P = np.ones(len(counted.faces_P)) if weights_P is None else weights_P
    weight_K = weights_P[counted.picture_K]
    false_K = np.cumsum(weight_K * ~counted.true_K) / weights_P.sum()
    recall_K = np.cumsum(weight_K * counted.true_K) / max(1.0, float(weights_P @ counted.faces_P))
    # A threshold takes all detections of one score or none.
    last = np.flatnonzero(np.append(np.diff(counted.scores_K) != 0, True))
    return counted.scores_K[last], false_K[last], recall_K[last]


def at_limit(counted: Counted, weights_P: Floats | None = None) -> tuple[float, float, float]:
    """Return threshold, false positives a picture and recall at the last threshold within the limit."""
    thresholds_T, false_T, recall_T = curve(counted, weights_P)
    within = int(np.searchsorted(false_T, FP_A_PICTURE, side="right")) - 1
    if within < 0:
        return 1.0, 0.0, 0.0
    return float(thresholds_T[within]), float(false_T[within]), float(recall_T[within])


def figure(counted: Counted, subset: str) -> Figure:
    """Return the figure of one subset with its interval."""
    threshold, false, recall = at_limit(counted)
    random, pictures = np.random.default_rng(SEED), len(counted.faces_P)
    drawn = [
        np.bincount(random.integers(pictures, size=pictures), minlength=pictures).astype(np.float64)
        for _ in range(BOOTSTRAPS)
    ]
    lower, upper = np.percentile([at_limit(counted, weights_P)[2] for weights_P in drawn], (2.5, 97.5))
    faces = int(counted.faces_P.sum())
    found = round(recall * faces)
    return Figure(subset, faces, found, recall, float(lower), float(upper), false, threshold)


def variants(pack: str, ious: Sequence[float], folder: Path) -> Iterator[tuple[str, str]]:
    """Yield a title and what `load_pack` takes: the pack itself, or for each IoU a copy of it with that limit."""
    if not ious:
        yield pack, pack
        return
    own = Path(pack) if pack.endswith(".toml") else None
    text = (own or resources.files("overt.recognition") / "packs" / f"{pack}.toml").read_text()
    for iou in ious:
        changed, times = re.subn(r"(?m)^nms_iou = .*$", f"nms_iou = {iou}", text)
        if times != 1:
            raise SystemExit(f"pack {pack} has no single line nms_iou")
        path = folder / f"{Path(pack).stem}-{iou}.toml"
        path.write_text(changed)
        yield f"{Path(pack).stem}, NMS {iou}", str(path)


def setups(options: argparse.Namespace, folder: Path) -> list[Setup]:
    """Return what is measured. Raises RecognitionError for a pack that can't be loaded."""
    made = []
    for pack in options.pack or ["cpu"]:
        for title, name in variants(pack, options.nms, folder):
            detector = load_pack(name, options.models, threads=options.threads).detector
            detector = detector.with_score(LOWEST_SCORE)
            made += [Setup(f"{title}, {width} px", detector, width) for width in options.width or [640]]
    return made


def detect(setup: Setup, image_HWC: NDArray[np.uint8]) -> Detections:
    """Return the faces of a picture shown `setup.width_px` wide, in its own pixels."""
    height, width = image_HWC.shape[:2]
    size_px = (setup.width_px, max(1, round(height * setup.width_px / width)))
    shown_HWC = np.asarray(Image.fromarray(image_HWC).resize(size_px, Image.Resampling.BILINEAR))
    found = setup.detector.detect(shown_HWC, longest_side_px=max(size_px))
    return found.scaled(width / setup.width_px)


def measure(labelled: Sequence[Labelled], setup: Setup, least_px: float) -> dict[str, Counted]:
    """Return the counts by subset."""
    found, widths = [], []
    for picture in labelled:
        image_HWC = load_picture(picture.path)
        found.append(detect(setup, image_HWC))
        widths.append(image_HWC.shape[1])
    return {
        name: count(labelled, found, widths, subset=number, least_px=least_px)
        for number, name in enumerate(SUBSETS)
    }


def plot(path: Path, counts: Mapping[str, Mapping[str, Counted]]) -> None:
    """Draw one panel a subset, one curve a setup."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    drawing, panels = plt.subplots(1, len(SUBSETS), figsize=(11, 4), sharey=True)
    for axes, subset in zip(panels, SUBSETS, strict=True):
        for name, by_subset in counts.items():
            _, false_T, recall_T = curve(by_subset[subset])
            axes.step(false_T, 100 * recall_T, where="post", label=name)
        faces = int(next(iter(counts.values()))[subset].faces_P.sum())
        axes.axvline(FP_A_PICTURE, color="grey", linestyle=":", linewidth=1)
        axes.set(xscale="log", xlim=(0.01, 20), ylim=(0, 100), title=f"{subset} ({faces} faces)")
        axes.set_xlabel("false positives a picture")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("faces found, %")
    panels[-1].legend(loc="lower right", fontsize=8)
    drawing.tight_layout()
    drawing.savefig(path, dpi=130)


def report(name: str, figures: Sequence[Figure]) -> None:
    """Print one setup's figures."""
    print(name)
    for each in figures:
        print(
            f"  {each.subset:<7} {each.found:>4} of {each.faces:>4} = {each.recall:6.1%}"
            f" ({each.lower_95:.1%} to {each.upper_95:.1%}) at score {each.threshold:.3f},"
            f" {each.fp_a_picture:.2f} false a picture"
        )


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="pictures and boxes.csv")
    parser.add_argument("--pack", action="append", help="a pack's name or .toml; may repeat (default cpu)")
    parser.add_argument("--models", type=Path, default=models_dir(default_cache_dir()))
    parser.add_argument("--width", type=int, action="append", help="width shown, pixels (640); may repeat")
    parser.add_argument(
        "--nms", type=float, action="append", default=[], help="IoU of suppression; may repeat"
    )
    parser.add_argument(
        "--least", type=float, default=20.0, help="least height, pixels at 640 wide (default 20)"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of each network (default 2)")
    parser.add_argument("--out", type=Path, required=True, help="where wider.json and wider.png go")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep."""
    options = arguments_of(arguments)
    labelled = read_labels(options.folder)
    print(f"{platform.machine()}, {os.cpu_count()} cores; {len(labelled)} pictures", file=sys.stderr)
    counts, kept = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            wanted = setups(options, Path(folder))
        except RecognitionError as error:
            raise SystemExit(str(error)) from error
        for setup in wanted:
            counts[setup.name] = measure(labelled, setup, options.least)
            figures = [figure(counted, subset) for subset, counted in counts[setup.name].items()]
            report(setup.name, figures)
            kept[setup.name] = [asdict(each) for each in figures]
    options.out.mkdir(parents=True, exist_ok=True)
    content = {"pictures": len(labelled), "least_px_at_640_wide": options.least, "iou": IOU, "setups": kept}
    (options.out / "wider.json").write_text(json.dumps(content, indent=1))
    plot(options.out / "wider.png", counts)


if __name__ == "__main__":
    main()
