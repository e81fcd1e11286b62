"""Measures the error rates of the `cpu` pack on a folder of labelled faces and prints its calibration.

    uv run python benchmarks/calibrate_cpu.py --models .cache/models FOLDER

FOLDER holds one folder a person with pictures in it, the person's face nearest to the middle (as in
Labeled Faces in the Wild). Open-set identification as in ISO/IEC 19795-1: whoever has two pictures or more
is enrolled with the first one and searched for with the others (mated); the others are searched for too
(non-mated). Two more lists show how the rates move with the list's size: 100 entries drawn anew for each
search, and everybody, where a non-mated search is one with the person's own entry left out.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overt.recognition.align import align_crop
from overt.recognition.metrics import Rate, fpir, tpir
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture

THRESHOLDS = (0.44, 0.46, 0.48, 0.50, 0.52, 0.55, 0.58, 0.60, 0.65, 0.70)
RANK = 5
SMALL_LIST = 100
SEED = 20240101


@dataclass(frozen=True, slots=True)
class Faces:
    """N templates and whose they are, in the order of the pictures' names."""

    templates_ND: NDArray[np.float32]
    people_N: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Searches:
    """Scores of open-set identification in one list of `size` entries."""

    size: int
    mated_S: NDArray[np.float32]
    ranks_S: NDArray[np.intp]
    best_non_mated_S: NDArray[np.float32]


def embed_folder(folder: Path, pack: Pack) -> Faces:
    """Return the template of every picture's middle face; pictures without a face are told and left out."""
    templates, people, without = [], [], 0
    for number, path in enumerate(sorted(folder.glob("*/*.jpg")), start=1):
        image_HWC = load_picture(path)
        found = pack.detector.detect(image_HWC)
        if len(found) == 0:
            without += 1
            continue
        middle_2 = np.array(image_HWC.shape[1::-1], np.float32) / 2
        away_N = np.linalg.norm(found.boxes_N4.reshape(-1, 2, 2).mean(axis=1) - middle_2, axis=1)
        crop_HWC = align_crop(image_HWC, found.landmarks_N52[int(np.argmin(away_N))])
        templates.append(pack.embedder.embed(crop_HWC[np.newaxis])[0])
        people.append(path.parent.name)
        if number % 500 == 0:
            print(f"{number} pictures", file=sys.stderr)
    print(f"{len(templates)} faces, {without} pictures without a face (failure to acquire)", file=sys.stderr)
    return Faces(np.stack(templates), np.array(people))


def identify(faces: Faces) -> tuple[Searches, ...]:
    """Return the searches in lists of three sizes: 100 drawn for each search, the list, everybody else."""
    names, firsts, counts = np.unique(faces.people_N, return_index=True, return_counts=True)
    several, strangers = firsts[counts > 1], firsts[counts == 1]
    others = np.setdiff1d(np.arange(len(faces.people_N)), firsts)
    own = np.searchsorted(names[counts > 1], faces.people_N[others])
    mated_SG = faces.templates_ND[others] @ faces.templates_ND[several].T
    non_mated_SG = faces.templates_ND[strangers] @ faces.templates_ND[several].T
    random = np.random.default_rng(SEED)
    return (
        _scored(*_small_lists(mated_SG, own, random), _columns(non_mated_SG, SMALL_LIST, random)),
        _scored(mated_SG, own, non_mated_SG),
        _everybody(faces, firsts, others),
    )


def _everybody(faces: Faces, firsts: NDArray[np.intp], others: NDArray[np.intp]) -> Searches:
    """Return the searches in a list of everybody; the non-mated ones as if the person were not on it."""
    names = faces.people_N[firsts]
    mated_SG = faces.templates_ND[others] @ faces.templates_ND[firsts].T
    seconds = others[np.unique(faces.people_N[others], return_index=True)[1]]
    probes = np.concatenate([seconds, firsts[~np.isin(names, faces.people_N[others])]])
    non_mated_SG = faces.templates_ND[probes] @ faces.templates_ND[firsts].T
    non_mated_SG[np.arange(len(probes)), np.searchsorted(names, faces.people_N[probes])] = -1.0
    return _scored(mated_SG, np.searchsorted(names, faces.people_N[others]), non_mated_SG)


def _small_lists(
    scores_SG: NDArray[np.float32], own_S: NDArray[np.intp], random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return each mated search's scores in its own entry (the first column) and 99 random others."""
    rows = np.arange(len(scores_SG))
    own_S1 = scores_SG[rows, own_S][:, None]
    rest_SG = scores_SG.copy()
    rest_SG[rows, own_S] = -1.0  # never the own entry twice: it stands in the first column
    return np.hstack([own_S1, _columns(rest_SG, SMALL_LIST - 1, random)]), np.zeros_like(own_S)


def _columns(scores_SG: NDArray[np.float32], count: int, random: np.random.Generator) -> NDArray[np.float32]:
    chosen_SC = np.argsort(random.random(scores_SG.shape), axis=1)[:, :count]
    return np.take_along_axis(scores_SG, chosen_SC, axis=1)


def _scored(
    mated_SG: NDArray[np.float32], own_S: NDArray[np.intp], non_mated_SG: NDArray[np.float32]
) -> Searches:
    own_score_S = mated_SG[np.arange(len(mated_SG)), own_S]
    ranks_S = 1 + np.count_nonzero(mated_SG > own_score_S[:, None], axis=1)
    return Searches(mated_SG.shape[1], own_score_S, ranks_S, non_mated_SG.max(axis=1))


def verification(faces: Faces, pairs: int = 3000) -> tuple[float, float]:
    """Return the best accuracy on as many random pairs of one person as of two, and its threshold."""
    random = np.random.default_rng(SEED)
    order = np.arange(len(faces.people_N))
    same: list[float] = []
    other: list[float] = []
    while len(same) < pairs or len(other) < pairs:
        first = int(random.integers(len(order)))
        if len(other) < pairs:
            second = int(random.integers(len(order)))
            if faces.people_N[first] != faces.people_N[second]:
                other.append(float(faces.templates_ND[first] @ faces.templates_ND[second]))
        mates = np.flatnonzero((faces.people_N == faces.people_N[first]) & (order != first))
        if len(mates) and len(same) < pairs:
            same.append(float(faces.templates_ND[first] @ faces.templates_ND[random.choice(mates)]))
    thresholds = np.linspace(0.0, 0.8, 801)
    right = [(np.mean(np.array(same) >= t) + np.mean(np.array(other) < t)) / 2 for t in thresholds]
    best = int(np.argmax(right))
    return float(right[best]), float(thresholds[best])


def shown(rate: Rate) -> str:
    return f"{rate.count}/{rate.total} = {rate.value:.4%} [{rate.lower_95:.4%}, {rate.upper_95:.4%}]"


def report(searches: Searches) -> None:
    """Print a table for people and the points as they stand in calibration.py."""
    print(f"\nlist of {searches.size}, rank {RANK}; 95 % Wilson intervals")
    rows = []
    for threshold in THRESHOLDS:
        wrong = fpir(searches.best_non_mated_S, threshold)
        right = tpir(searches.mated_S, searches.ranks_S, threshold=threshold, rank=RANK)
        print(f"  {threshold:.2f}  FPIR {shown(wrong):<44}  TPIR {shown(right)}")
        rows.append(f"_measured({threshold}, {searches.size}, wrong={wrong.count}, found={right.count}),")
    print(*rows, sep="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the cpu pack's error rates on labelled faces.")
    parser.add_argument("folder", type=Path, help="one folder a person")
    parser.add_argument(
        "--models", type=Path, required=True, help="where `overt models fetch` put the models"
    )
    parser.add_argument("--keep", type=Path, help="file to keep the templates in, and to read them from")
    options = parser.parse_args(arguments)
    if options.keep and options.keep.exists():
        kept = np.load(options.keep)
        faces = Faces(kept["templates"], kept["people"])
    else:
        faces = embed_folder(options.folder, load_pack("cpu", options.models, threads=2))
        if options.keep:
            np.savez(options.keep, templates=faces.templates_ND, people=faces.people_N)
    accuracy, threshold = verification(faces)
    print(f"verification of 6,000 random pairs: {accuracy:.2%} right at {threshold:.3f}")
    for searches in identify(faces):
        report(searches)


if __name__ == "__main__":
    main()
