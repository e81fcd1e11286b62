"""Fits the mean face that head pose is measured against, and says how LFW's heads are turned by it.

    uv run python benchmarks/pose.py --lfw FOLDER --models .cache/models

FOLDER holds one folder a person; the first picture of each of up to `--people` people is taken. Of all faces of
five points that are symmetric, with the eyes one apart at depth 0, the one with the least median error under
scaled orthographic projection is searched for, number by number.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.quality.pose import MEAN_FACE_53, head_pose

Floats = NDArray[np.float64]
NAMES = ("nose down", "nose away", "mouth aside", "mouth down", "mouth away")


def landmarks_of(folder: Path, pack: Pack, people: int) -> Floats:
    """Return the landmarks of the surest face of each person's first picture, N x 5 x 2."""
    found = []
    for person in sorted(folder.iterdir())[:people]:
        faces = pack.detector.detect(load_picture(min(person.glob("*.jpg"))))
        if len(faces):
            found.append(faces.landmarks_N52[0].astype(np.float64))
    return np.stack(found)


def model_53(numbers_5: Floats) -> Floats:
    nose_down, nose_away, aside, down, away = numbers_5
    return np.array(
        [
            [-0.5, 0, 0],
            [0.5, 0, 0],
            [0, nose_down, nose_away],
            [-aside, down, away],
            [aside, down, away],
        ]
    )


def error(numbers_5: Floats, landmarks_N52: Floats) -> float:
    """Return the median over faces of what the best turned, scaled model leaves, in eye distances."""
    centred_53 = model_53(numbers_5) - model_53(numbers_5).mean(axis=0)
    points_N52 = landmarks_N52 - landmarks_N52.mean(axis=1, keepdims=True)
    affine_N23 = np.einsum("npi,jp->nij", points_N52, np.linalg.pinv(centred_53))
    left, _, right = np.linalg.svd(affine_N23, full_matrices=False)
    turned_N52 = np.einsum("nij,pj->npi", left @ right, centred_53)
    scale_N = (turned_N52 * points_N52).sum(axis=(1, 2)) / (turned_N52**2).sum(axis=(1, 2))
    rest_N52 = points_N52 - scale_N[:, None, None] * turned_N52
    return float(np.median(np.sqrt((rest_N52**2).sum(axis=(1, 2))) / scale_N))


def fit(landmarks_N52: Floats) -> tuple[Floats, float]:
    """Return the five numbers and their error: one number moved at a time, by ever smaller steps."""
    best_5, step = np.array([0.5, -0.5, 0.4, 1.0, -0.05]), 0.05
    least = error(best_5, landmarks_N52)
    while step > 0.002:
        moved = False
        for index in range(5):
            for change in (-step, step):
                tried_5 = best_5.copy()
                tried_5[index] += change
                if (found := error(tried_5, landmarks_N52)) < least:
                    best_5, least, moved = tried_5, found, True
        step = step if moved else step / 2
    return best_5, least


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fit the mean face of head pose.")
    parser.add_argument("--lfw", type=Path, required=True, help="one folder a person")
    parser.add_argument(
        "--models", type=Path, required=True, help="where `overt models fetch` put the models"
    )
    parser.add_argument("--people", type=int, default=801)
    options = parser.parse_args(arguments)
    landmarks_N52 = landmarks_of(options.lfw, load_pack("cpu", options.models), options.people)
    numbers_5, least = fit(landmarks_N52)
    print(f"{len(landmarks_N52)} faces, median error {least:.1%} of the eyes' distance")
    print({name: round(float(value), 3) for name, value in zip(NAMES, numbers_5, strict=True)})
    print("in the library:", MEAN_FACE_53[2:4].tolist())
    poses = [head_pose(one) for one in landmarks_N52]
    degrees_N3 = np.array([(one.yaw_deg, one.pitch_deg, one.roll_deg) for one in poses])
    print(
        "yaw, pitch, roll: median",
        np.median(degrees_N3, axis=0).round(1),
        "deviation",
        degrees_N3.std(axis=0).round(1),
    )


if __name__ == "__main__":
    main()
