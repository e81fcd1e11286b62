"""Measures how often a photograph that lies on its side or head down is noticed at enrolment.

    uv run python benchmarks/upright.py --lfw FOLDER --models .cache/models

FOLDER holds one folder a person; every third person's first picture is taken, as it is and turned by one, two or
three quarters, by chance.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from overt.control.upright import is_upright
from overt.recognition.pack import load_pack
from overt.recognition.picture import load_picture

SEED = 0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Error rates of the check that a picture is upright.")
    parser.add_argument("--lfw", type=Path, required=True, help="one folder a person")
    parser.add_argument(
        "--models", type=Path, required=True, help="where `overt models fetch` put the models"
    )
    parser.add_argument("--every", type=int, default=3, help="take every n-th person")
    options = parser.parse_args(arguments)
    detector = load_pack("cpu", options.models).detector
    random = np.random.default_rng(SEED)
    told_upright: dict[bool, list[bool]] = {False: [], True: []}
    for person in sorted(options.lfw.iterdir())[:: options.every]:
        image_HWC = load_picture(min(person.glob("*.jpg")))
        for quarters in (0, int(random.integers(1, 4))):
            turned_HWC = np.ascontiguousarray(np.rot90(image_HWC, quarters))
            found = detector.detect(turned_HWC)
            if len(found):
                told_upright[quarters > 0].append(is_upright(turned_HWC, found.boxes_N4[0], detector))
    upright, turned = told_upright[False], told_upright[True]
    print(f"upright, refused: {upright.count(False)} of {len(upright)}")
    print(f"turned, not noticed: {turned.count(True)} of {len(turned)} in which a face was found")


if __name__ == "__main__":
    main()
