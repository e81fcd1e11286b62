"""Measures how often the presentation check flags faces and how often it misses pictures of faces.

    uv run python -m benchmarks.presentation --videos FOLDER --lfw FOLDER --scene CLIP --models .cache/models \
        --attacks FOLDER

Bona fide presentations are the tracks of real clips, in pieces of 4 s. Nobody recorded attacks: they are simulated
(`recapture.py`), photographs of `--lfw` and pieces of the clips themselves, on paper or a screen that a hand moves
before a real scene, and go through the same JPEG, detector and tracker. So APCER here is that of a simulation, per
species; an attacker who takes care does better. Rates are those of ISO/IEC 30107-3, with Clopper-Pearson
intervals. Limits are looked at on every other person or track (`fit`); the figures are of the rest (`held out`).

The simulated clips stay in `--attacks`: a second run only measures. They show real people: delete them.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.recapture import EYES_IN_PICTURE, RATE, SPECIES, Species, film, write_h264
from overt.detect import jpeg
from overt.recognition.binomial import interval_95
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture
from overt.recognition.presentation import Measures, PresentationCheck, PresentationOptions
from overt.recognition.tracker import FaceTracker

SEED = 13
PIECE_NS, SHORTEST_STEP_NS = 4_000_000_000, 70_000_000
JPEG_QUALITY = 85  # what ingest sends
LONGEST_SIDE_PX = 960
SCENE_WH = (640, 360)
REPLAY, REPLAYED = "replayed clip, screen, coarse pixels", Species(turn_deg=6, stripes=330)
BONA_FIDE = "bona fide"
Frames = Iterable[tuple[int, NDArray[np.uint8]]]


class Measured(msgspec.Struct, frozen=True):
    """What the check measured of one piece of one track. `owner`: whose it is: pieces of one are not independent."""

    species: str
    owner: str
    fit: bool
    looks: int
    eyes_px: float
    tilt: float
    likeness: float
    moire: float

    def asked(self, options: PresentationOptions) -> bool:
        """Return whether parallax is asked at all."""
        return options.asks(Measures(self.tilt, self.likeness, self.moire), self.eyes_px)

    def flags(self, options: PresentationOptions) -> tuple[bool, bool]:
        """Return whether parallax and texture flag it."""
        flat = options.is_flat(Measures(self.tilt, self.likeness, self.moire))
        return self.asked(options) and flat, self.moire >= options.min_moire


@dataclass(frozen=True, slots=True)
class Attack:
    """A simulated attack's clip."""

    species: str
    owner: str
    fit: bool
    path: Path


def pieces(frames: Frames, pack: Pack) -> dict[tuple[str, int], PresentationCheck]:
    """Return the pieces of every track, by track and number, as detect sees the frames."""
    numbers = itertools.count()
    tracker, found = (
        FaceTracker(new_id=lambda: str(next(numbers))),
        dict[tuple[str, int], PresentationCheck](),
    )
    begun: dict[str, int] = {}
    for at_ns, frame_HWC in frames:
        sent = jpeg.encode(frame_HWC, JPEG_QUALITY)
        small_HWC = jpeg.decode(sent, min_longest_px=LONGEST_SIDE_PX)
        faces = pack.detector.detect(small_HWC, longest_side_px=LONGEST_SIDE_PX)
        for index, track_id in enumerate(tracker.update(faces, at_ns)):
            if track_id is None or faces.scores_N[index] < 0.7:
                continue
            number = (at_ns - begun.setdefault(track_id, at_ns)) // PIECE_NS
            piece = found.setdefault((track_id, number), PresentationCheck())
            piece.add(small_HWC, faces.landmarks_N52[index], at_ns)
    return found


def measured(species: str, owner: str, *, fit: bool, check: PresentationCheck) -> Measured | None:
    if check.looks < PresentationOptions().min_looks:
        return None
    m = check.measures()
    return Measured(species, owner, fit, check.looks, check.eye_distance_px, m.tilt, m.likeness, m.moire)


def clip(path: Path) -> Frames:
    """Yield a clip's frames and times, not more than about 12 a second."""
    next_ns = 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            at_ns = int((frame.time or 0.0) * 1e9)
            if at_ns >= next_ns:
                next_ns = at_ns + SHORTEST_STEP_NS
                yield at_ns, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def bona_fide(videos: Path, pack: Pack) -> Iterator[Measured]:
    """Yield what real faces measure; every other track of all clips is for fitting."""
    turn = itertools.count()
    for path in sorted(videos.iterdir()):
        halves: dict[str, bool] = {}
        for (track_id, _), piece in pieces(clip(path), pack).items():
            if piece.looks < PresentationOptions().min_looks:
                continue
            if track_id not in halves:
                halves[track_id] = next(turn) % 2 == 0
            one = measured(BONA_FIDE, f"{path.stem} {track_id}", fit=halves[track_id], check=piece)
            if one is not None:
                yield one


def attacked(attack: Attack, pack: Pack) -> Iterator[Measured]:
    """Yield what the longest piece of an attack's clip measures, nothing when its face was not followed."""
    of_clip = pieces(clip(attack.path), pack).values()
    found = [measured(attack.species, attack.owner, fit=attack.fit, check=piece) for piece in of_clip]
    longest = max((one for one in found if one), key=lambda one: (one.looks, one.eyes_px), default=None)
    if longest is not None:
        yield longest


def photographs(lfw: Path, scene: NDArray[np.uint8], attacks: Path, count: int) -> Iterator[Attack]:
    """Film `count` attacks of each species, each with another person's photograph."""
    people = sorted(one for one in lfw.iterdir() if one.is_dir())
    for number, (turn, (name, species)) in enumerate(itertools.product(range(count), SPECIES.items())):
        person = people[number * 5 % len(people)]
        path = attacks / f"{number:04d}.mp4"
        if not path.exists():
            picture = Image.fromarray(load_picture(min(person.glob("*.jpg"))))
            random = np.random.default_rng((SEED, number))
            frames = list(
                film(itertools.repeat(picture), species, random, scene=scene, frames=frames_of_piece())
            )
            write_whole(path, frames)
        yield Attack(name, person.name, turn % 2 == 0, path)


def replays(
    videos: Path, scene: NDArray[np.uint8], *, attacks: Path, pack: Pack, count: int
) -> Iterator[Attack]:
    """Film attacks with pieces of the real clips of one large face, played on a screen."""
    for path in sorted(videos.glob("*cap1*")):
        whole = [frame for _, frame in itertools.islice(clip(path), frames_of_piece() * count)]
        for turn in range(min(count, len(whole) // frames_of_piece())):
            target = attacks / f"{path.stem}-{turn:02d}.mp4"
            part = whole[turn * frames_of_piece() :][: frames_of_piece()]
            if not target.exists():
                faces = pack.detector.detect(part[0])
                if len(faces) == 0:
                    continue
                shown = [around(frame, faces.landmarks_N52[0]) for frame in part]
                random = np.random.default_rng((SEED, 10_000 + turn))
                write_whole(
                    target,
                    list(film(shown, REPLAYED, random, scene=scene, frames=frames_of_piece())),
                )
            yield Attack(REPLAY, target.stem, turn % 2 == 0, target)


def write_whole(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Write a clip that is there wholly or not at all."""
    part = path.with_suffix(".part")
    write_h264(part, frames)
    part.replace(path)


def around(frame_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.float32]) -> Image.Image:
    """Return a square about a face as wide as a photograph of LFW is about one."""
    x, y = landmarks_52.mean(axis=0).tolist()
    side = round(float(np.hypot(*(landmarks_52[1] - landmarks_52[0]))) / EYES_IN_PICTURE)
    left, top = round(x - side / 2), round(y - side / 2)
    return Image.fromarray(frame_HWC).crop((left, top, left + side, top + side))


def frames_of_piece() -> int:
    return RATE * PIECE_NS // 1_000_000_000


def scene_of(path: Path) -> NDArray[np.uint8]:
    """Return the first frame of a clip."""
    _, first = next(iter(clip(path)))
    return np.asarray(Image.fromarray(first).resize(SCENE_WH))


def rate(flags: Sequence[bool]) -> str:
    if not flags:
        return "none"
    low, high = interval_95(sum(flags), len(flags))
    return f"{sum(flags)} of {len(flags)} = {sum(flags) / len(flags):.0%} ({low:.0%} to {high:.0%})"


def report(rows: Sequence[Measured], options: PresentationOptions) -> Iterator[str]:
    """Yield the lines of the tables."""
    yield f"limits: {options}"
    for fit in (True, False):
        yield "fit" if fit else "held out"
        half = [row for row in rows if row.fit is fit]
        real = [row for row in half if row.species == BONA_FIDE]
        flagged = {row.owner for row in real if any(row.flags(options))}
        owners = sorted({row.owner for row in real})
        yield f"  BPCER, pieces: {rate([any(row.flags(options)) for row in real])}"
        yield f"    by parallax {rate([row.flags(options)[0] for row in real])}"
        yield f"    by texture {rate([row.flags(options)[1] for row in real])}"
        yield f"    parallax was asked of {rate([row.asked(options) for row in real])}"
        yield f"  BPCER, tracks with any piece flagged: {rate([owner in flagged for owner in owners])}"
        for name in (*SPECIES, REPLAY):
            own = [row for row in half if row.species == name]
            yield f"  APCER, {name}: {rate([not any(row.flags(options)) for row in own])}"
            yield f"    parallax was asked of {rate([row.asked(options) for row in own])}"
            yield f"    found by texture: {rate([row.flags(options)[1] for row in own])}"


def spread(rows: Sequence[Measured]) -> Iterator[str]:
    """Yield how what was measured on the half for fitting is spread, to choose limits by."""
    yield "fit: least, 5 %, 25 %, 50 %, 75 %, 95 %, most"
    for name in (BONA_FIDE, *SPECIES, REPLAY):
        own = [row for row in rows if row.species == name and row.fit]
        if own:
            yield f"  {name}: {len(own)} pieces"
            for column in ("eyes_px", "tilt", "likeness", "moire"):
                values = np.quantile(
                    [getattr(row, column) for row in own], (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
                )
                yield f"    {column}: " + ", ".join(f"{value:.3f}" for value in values)


def collect(told: argparse.Namespace) -> Iterator[Measured]:
    pack = load_pack("cpu", told.models)
    scene = scene_of(told.scene)
    told.attacks.mkdir(parents=True, exist_ok=True)
    for attack in itertools.chain(
        replays(told.videos, scene, attacks=told.attacks, pack=pack, count=told.count),
        photographs(told.lfw, scene, told.attacks, told.count),
    ):
        if not told.only_film:
            yield from attacked(attack, pack)
    if not told.only_film:
        yield from bona_fide(told.videos, pack)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presentation", description=__doc__)
    parser.add_argument("--videos", type=Path, required=True, help="clips of real faces")
    parser.add_argument("--scene", type=Path, required=True, help="a clip that begins without a face")
    parser.add_argument("--lfw", type=Path, required=True, help="one folder a person")
    parser.add_argument(
        "--models", type=Path, required=True, help="where `overt models fetch` put the models"
    )
    parser.add_argument("--attacks", type=Path, required=True, help="where the simulated clips go, made once")
    parser.add_argument("--count", type=int, default=20, help="attacks a species")
    parser.add_argument("--measured", type=Path, help="what was measured: written, or printed if it is there")
    parser.add_argument("--only-film", action="store_true", help="simulate, don't measure")
    told = parser.parse_args()
    if told.measured is not None and told.measured.exists():
        rows = msgspec.json.decode(told.measured.read_bytes(), type=list[Measured])
    else:
        rows = list(collect(told))
        if told.measured is not None:
            told.measured.write_bytes(msgspec.json.encode(rows))
    for line in itertools.chain(spread(rows), report(rows, PresentationOptions())):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
