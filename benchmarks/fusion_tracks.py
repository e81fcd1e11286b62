"""Makes tracks to measure fusion on: from real video, and made of photographs. `fusion.py` is the command.

Real: looks at followed faces of a clip, as it is and reduced, as if the camera stood farther away.
Simulated: photographs of one person, made small, blurred, noisy and compressed, stand for the looks of a track.
"""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from overt.recognition.detections import Detections, nothing
from overt.recognition.framing import frontal_eye_distance_px
from overt.recognition.pack import Pack
from overt.recognition.picture import load_picture
from overt.recognition.quality import assess, probe_ok

Picture = NDArray[np.uint8]
Random = np.random.Generator

SEED = 7
LOOKS = 5
LEAST_LOOKS = 2
# Between the eyes, from the least that a probe may have to what enrolment asks for.
EYES_PX = (10.5, 20.0)
EVERY_NS = 120_000_000
# Looks this near in time to the one that is enrolled would be the same picture again.
APART_NS = 400_000_000
# Overlap from which a shot is of a face that was followed at full size.
SAME_IOU = 0.3
# Overlap from which a face is where it was in the frame before, when no other face is near.
STAYED_IOU, TOUCHING_IOU = 0.5, 0.15
# As it is, and as if the camera stood twice to five times as far away.
SHARES = (1.0, 0.5, 0.33, 0.25, 0.2)
JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Track:
    """K looks at one person, K x D, the worst first as detect sends them, and the template that is enrolled."""

    person: str
    clip: str
    looks_KD: NDArray[np.float32]
    weights_K: NDArray[np.float64]
    reference_D: NDArray[np.float32]


class Enrolled(NamedTuple):
    """The photograph that stands for a person, by name, and its template."""

    photograph: str
    template_D: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Look:
    """One look: template and quality; None where no face was found that may be searched for."""

    template_D: NDArray[np.float32]
    quality: int


def look_at(pack: Pack, image_HWC: Picture, *, gate: bool) -> Look | None:
    """Return the face nearest to the middle, None where there is none or the probe gate refuses it."""
    found = pack.detector.detect(image_HWC)
    if len(found) == 0:
        return None
    middle_2 = np.array(image_HWC.shape[1::-1], np.float32) / 2
    away_N = np.linalg.norm(found.boxes_N4.reshape(-1, 2, 2).mean(axis=1) - middle_2, axis=1)
    index = int(np.argmin(away_N))
    landmarks_52 = found.landmarks_N52[index]
    quality = assess(image_HWC, box=found.boxes_N4[index], landmarks_52=landmarks_52)
    if gate and not probe_ok(quality):
        return None
    return Look(pack.embedder.embed(pack.aligner.crop(image_HWC, landmarks_52)[None])[0], quality.score)


def _distant(picture: Picture, share: float, random: Random) -> Picture:
    """Return the picture as a distant camera would see it: turned a little, small, blurred, noisy, JPEG."""
    image = Image.fromarray(picture)
    image = image.rotate(float(random.uniform(-6, 6)), Image.Resampling.BICUBIC)
    size = (max(32, round(image.width * share)), max(32, round(image.height * share)))
    image = image.resize(size, Image.Resampling.BOX)
    image = image.filter(ImageFilter.GaussianBlur(float(random.uniform(0.3, 1.0))))
    noisy_HWC = np.asarray(image) + random.normal(0, random.uniform(2, 8), (image.height, image.width, 3))
    buffer = io.BytesIO()
    Image.fromarray(noisy_HWC.clip(0, 255).astype(np.uint8)).save(
        buffer, "JPEG", quality=int(random.integers(50, 85))
    )
    return np.asarray(Image.open(buffer).convert("RGB"))


def _spoilt(pack: Pack, photographs: Sequence[Picture], random: Random) -> Iterator[Picture]:
    """Yield the photographs as a distant camera would see them, each nearer than the one before."""
    for picture, eyes_px in zip(photographs, np.geomspace(*EYES_PX, num=len(photographs)), strict=True):
        found = pack.detector.detect(picture)
        if len(found):
            own_px = max(frontal_eye_distance_px(one) for one in found.landmarks_N52)
            yield _distant(picture, min(1.0, eyes_px / own_px), random)


def _track(person: str, clip: str, looks: Sequence[Look], reference_D: NDArray[np.float32]) -> Track:
    weights_K = np.array([max(look.quality, 1) for look in looks], np.float64)
    return Track(person, clip, np.stack([look.template_D for look in looks]), weights_K, reference_D)


def enrolled(folder: Path, pack: Pack) -> dict[str, Enrolled]:
    """Return everybody in `folder` by their first photograph with a face: its name and template."""
    found: dict[str, Enrolled] = {}
    for number, person in enumerate(sorted(folder.iterdir())):
        for path in sorted(person.glob("*.jpg")):
            look = look_at(pack, load_picture(path), gate=False)
            if look is not None:
                found[person.name] = Enrolled(path.name, look.template_D)
                break
        if number % 500 == 0:
            print(f"{number} people enrolled", file=sys.stderr)
    return found


@dataclass(frozen=True, slots=True)
class Made:
    """How tracks are made of photographs: of how many at least, spoilt or not, and how many tracks a person."""

    photographs: int
    spoilt: bool
    most_tracks: int


# Photographs years apart differ more than a camera's looks within seconds; five of one differ less.
SIMULATED = {
    "simulated, several photographs": Made(3, spoilt=True, most_tracks=8),
    "simulated, one photograph": Made(1, spoilt=True, most_tracks=1),
    "several photographs as they are": Made(3, spoilt=False, most_tracks=3),
}


def of_photographs(folder: Path, pack: Pack, entries: Mapping[str, Enrolled], made: Made) -> Iterator[Track]:
    """Yield the simulated tracks of everybody with enough photographs besides the one that is enrolled."""
    random = np.random.default_rng(SEED)
    for person, (name, reference_D) in entries.items():
        others = [path for path in sorted((folder / person).glob("*.jpg")) if path.name != name]
        for group in _groups(others, made):
            pictures: Iterable[Picture] = [load_picture(path) for path in group]
            if made.spoilt:
                pictures = _spoilt(pack, list(pictures), random)
            found = [look_at(pack, picture, gate=True) for picture in pictures]
            looks = sorted((look for look in found if look is not None), key=lambda look: look.quality)
            if len(looks) >= LEAST_LOOKS:
                yield _track(person, "photographs", looks, reference_D)


def _groups(paths: Sequence[Path], made: Made) -> list[Sequence[Path]]:
    if made.photographs == 1:
        return [[path] * LOOKS for path in paths[: made.most_tracks]]
    groups = [paths[start : start + LOOKS] for start in range(0, len(paths), LOOKS)]
    return [group for group in groups if len(group) >= made.photographs][: made.most_tracks]


@dataclass(frozen=True, slots=True)
class Seen:
    """A look in a real clip: at whom, when, and how much the picture was reduced before."""

    person: str
    share: float
    at_ns: int
    look: Look


def frames_of(clip: Path) -> Iterator[tuple[int, Picture]]:
    """Yield presentation time in ns and picture of each frame."""
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            yield int(frame.time * 1e9), frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def seen_in(clip: Path, pack: Pack, shares: Sequence[float] = SHARES) -> list[Seen]:
    """Return the looks that pass the probe gate, one in EVERY_NS a person and share.

    Who is who is told by the faces at full size, from each frame to the next, and strictly: a face that moved
    far or was missed once is somebody new. So one person may have several names, but no name two people.
    """
    new_id = map(str, count(1)).__next__
    seen: list[Seen] = []
    next_ns, before = 0, nothing()
    ids: tuple[str, ...] = ()
    for at_ns, picture in frames_of(clip):
        found = pack.detector.detect(picture, longest_side_px=max(picture.shape))
        ids, before = _named(found, before, ids, new_id), found
        if at_ns < next_ns:
            continue
        next_ns = at_ns + EVERY_NS
        for share in shares:
            for who, look in _looks(pack, _reduced(picture, share), found.scaled(share), ids):
                seen.append(Seen(f"{clip.stem}/{who}", share, at_ns, look))
    return seen


def _named(
    found: Detections, before: Detections, names: Sequence[str], new_id: Callable[[], str]
) -> tuple[str, ...]:
    """Return the name of each face: that of the one face of the frame before which is at its place, or a new one."""
    if len(before) == 0 or len(found) == 0:
        return tuple(new_id() for _ in range(len(found)))
    overlap_NM = np.stack([_iou(box_4, before.boxes_N4) for box_4 in found.boxes_N4])
    near_NM = overlap_NM >= STAYED_IOU
    alone_N = (overlap_NM >= TOUCHING_IOU).sum(axis=1) == 1
    alone_M = (overlap_NM >= TOUCHING_IOU).sum(axis=0) == 1
    return tuple(
        names[int(row.argmax())] if near.any() and alone and alone_M[int(row.argmax())] else new_id()
        for row, near, alone in zip(overlap_NM, near_NM, alone_N, strict=True)
    )


def _reduced(picture: Picture, share: float) -> Picture:
    """Return the picture as a camera `1 / share` times as far away would send it, through JPEG."""
    image = Image.fromarray(picture)
    size = (round(image.width * share), round(image.height * share))
    image = image.resize(size, Image.Resampling.BOX) if share < 1 else image
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=JPEG_QUALITY, colorsubsampling="420")
    decoded_HWC: Picture = simplejpeg.decode_jpeg(jpeg)
    return decoded_HWC


def _looks(
    pack: Pack, picture: Picture, followed: Detections, ids: Sequence[str]
) -> Iterator[tuple[str, Look]]:
    """Yield each face of the picture that was followed and may be a probe; as detect does, on its own boxes."""
    found = pack.detector.detect(picture)
    for box_4, landmarks_52 in zip(found.boxes_N4, found.landmarks_N52, strict=True):
        overlap_N = _iou(box_4, followed.boxes_N4)
        who = ids[int(overlap_N.argmax())] if overlap_N.max(initial=0) >= SAME_IOU else None
        quality = assess(picture, box=box_4, landmarks_52=landmarks_52)
        if who is not None and probe_ok(quality):
            crop_HWC = pack.aligner.crop(picture, landmarks_52)
            yield who, Look(pack.embedder.embed(crop_HWC[None])[0], quality.score)


def _iou(box_4: NDArray[np.float32], boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
    left_top_N2 = np.maximum(box_4[:2], boxes_N4[:, :2])
    right_bottom_N2 = np.minimum(box_4[2:], boxes_N4[:, 2:])
    both_N = np.prod(np.maximum(right_bottom_N2 - left_top_N2, 0), axis=1)
    areas_N = np.prod(boxes_N4[:, 2:] - boxes_N4[:, :2], axis=1)
    shares_N: NDArray[np.float32] = both_N / (areas_N + np.prod(box_4[2:] - box_4[:2]) - both_N)
    return shares_N


def of_crowd(clip: Path, seen: Sequence[Seen]) -> Iterator[Track]:
    """Yield tracks of people who walk through one clip: early looks, the best of the late ones enrolled."""
    for person in sorted({one.person for one in seen}):
        own = [one for one in seen if one.person == person]
        begin_ns, end_ns = own[0].at_ns, own[-1].at_ns
        late = [one for one in own if one.share == 1 and one.at_ns >= begin_ns + 2 * (end_ns - begin_ns) / 3]
        if not late:
            continue
        best = max(late, key=lambda one: one.look.quality)
        early = [one for one in own if one.at_ns <= min(one.at_ns for one in late) - APART_NS]
        yield from _in_fives(person, clip.stem, early, best.look.template_D)


def of_pair(seen: Sequence[Seen], others: Sequence[Seen]) -> Iterator[Track]:
    """Yield tracks of one person in a clip; the best look at the same person in another one is enrolled."""
    best = max((one for one in others if one.share == 1), key=lambda one: one.look.quality)
    clip, person = seen[0].person.split("/")[0], min(seen[0].person, others[0].person)
    yield from _in_fives(person, clip, seen, best.look.template_D)


def _in_fives(
    person: str, clip: str, seen: Sequence[Seen], reference_D: NDArray[np.float32]
) -> Iterator[Track]:
    """Yield five looks after each other as one track, the worst first: as detect sends only better ones."""
    for share in sorted({one.share for one in seen}):
        looks = [one.look for one in seen if one.share == share]
        for start in range(0, len(looks), LOOKS):
            five = sorted(looks[start : start + LOOKS], key=lambda look: look.quality)
            if len(five) >= LEAST_LOOKS:
                yield _track(person, f"{clip} at {share:.2f}", five, reference_D)
