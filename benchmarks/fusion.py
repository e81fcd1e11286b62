"""Measures what fusing the looks of a track brings: TPIR at equal FPIR, and FPIR at one threshold.

    uv run python -m benchmarks.fusion --lfw FOLDER --crowd CLIP --pair CLIP CLIP --models .cache/models --out OUT

FOLDER of --lfw holds one folder a person; everybody's first photograph is enrolled. Clips of --crowd show people
who are told apart by following them; both clips of --pair show one person. Nobody in a clip is in the folder.

Kinds of tracks, the worst look first, five looks at most (see `fusion_tracks.py`):
- real video: looks at one face of a clip, 120 ms apart, as it is and at a half to a fifth of its size;
- simulated, several photographs of a person made small and spoilt: more different than a camera's looks;
- simulated, one photograph spoilt five times: less different than a camera's looks;
- several photographs as they are: what thresholds were measured on, and each of their looks one such search.

A list has the enrolled people of one of BLOCKS parts of the folder. A non-mated search is a track against one
such list without the track's own person; a mated one adds the own person to one list. A search returns what any
of the track's looks returned: an alert comes at the first look that reaches the threshold. Intervals are 95 %
over people drawn with replacement, the threshold anew in each.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fusion_tracks import (
    SIMULATED,
    Enrolled,
    Track,
    enrolled,
    of_crowd,
    of_pair,
    of_photographs,
    seen_in,
)
from overt.recognition.bootstrap import Spread, Weights, bootstrap, found_at_fpir
from overt.recognition.fusion import LEAST_COSINE, fuse_track
from overt.recognition.metrics import Rate, fpir, proportion
from overt.recognition.pack import load_pack

Scores = NDArray[np.float64]

SEED = 7
BLOCKS = 4
FPIRS = (0.001, 0.003, 0.01)
ROUNDS = 500
# Of a mated search the right entry must be among so many, as in `overt evaluate`.
RANK = 5
BEST, BASE, CHOSEN = "best look alone", "every look alone", "mean of look and track"
# Thresholds at which the rules are compared: those of the pack, and lower ones where there is more to count.
LEVELS = (0.45, 0.47, 0.5, 0.55, 0.6, 0.7)


@dataclass(frozen=True, slots=True)
class Rule:
    """How similar each search of a track says an entry is: K x G of the looks and K x G of the track so far."""

    name: str
    score: Callable[[Scores, Scores], Scores]


RULES = (
    Rule(BEST, lambda looks_KG, _: looks_KG[-1:]),
    Rule(BASE, lambda looks_KG, _: looks_KG),
    Rule("track alone", lambda _, fused_KG: fused_KG),
    Rule("higher of look and track", np.maximum),
    Rule(CHOSEN, lambda looks_KG, fused_KG: (looks_KG + fused_KG) / 2),
)


@dataclass(frozen=True, slots=True)
class Searches:
    """What one rule scored: M mated and S non-mated tracks, whose (numbers of people), and every look's L."""

    mated_M: Scores
    mated_person_M: NDArray[np.intp]
    non_mated_S: Scores
    non_mated_person_S: NDArray[np.intp]
    non_mated_looks_L: Scores
    people: int


def fused_rows(track: Track, least_cosine: float = LEAST_COSINE) -> NDArray[np.float32]:
    """Return what embed sends with each look, K x D; the look itself where it sends nothing."""
    rows = []
    for last in range(1, len(track.looks_KD) + 1):
        fused_D = fuse_track(track.looks_KD[:last], track.weights_K[:last], least_cosine=least_cosine)
        rows.append(track.looks_KD[last - 1] if fused_D is None else fused_D)
    return np.stack(rows)


def search(tracks: Sequence[Track], entries: Mapping[str, Enrolled]) -> dict[str, Searches]:
    """Search every track in the lists, by every rule."""
    names = np.random.default_rng(SEED).permutation(sorted(entries))
    gallery_GD = np.stack([entries[name].template_D for name in names])
    number_of = {name: number for number, name in enumerate(sorted({track.person for track in tracks}))}
    owners = np.array([number_of[track.person] for track in tracks])
    found = {}
    scored = [_scored(track, gallery_GD[names != track.person]) for track in tracks]
    for rule in RULES:
        mated, non_mated, looks = [], [], []
        for number, (looks_KG, fused_KG) in enumerate(scored):
            scores_KG = rule.score(looks_KG, fused_KG)
            blocks = np.array_split(scores_KG[:, :-1], BLOCKS, axis=1)
            own = float(scores_KG[:, -1].max())
            better = int(np.count_nonzero(blocks[number % BLOCKS].max(axis=0) > own))
            mated.append(own if better < RANK else -np.inf)
            non_mated += [float(block.max()) for block in blocks]
            looks += [block.max(axis=1) for block in blocks]
        found[rule.name] = Searches(
            mated_M=np.array(mated),
            mated_person_M=owners,
            non_mated_S=np.array(non_mated),
            non_mated_person_S=np.repeat(owners, BLOCKS),
            non_mated_looks_L=np.concatenate(looks),
            people=len(number_of),
        )
    return found


def _scored(track: Track, others_GD: NDArray[np.float32]) -> tuple[Scores, Scores]:
    """Return the similarities of looks and fusions to everybody else and, in the last column, to the person."""
    list_DG = np.vstack([others_GD, track.reference_D]).T
    return (track.looks_KD @ list_DG).astype(np.float64), (fused_rows(track) @ list_DG).astype(np.float64)


def at_fpir(searches: Searches, rate: float) -> Callable[[Weights], float]:
    """Return TPIR at the lowest threshold with at most `rate`, as a function of how often each person counts."""
    figure = found_at_fpir(searches.non_mated_S, searches.mated_M, rate)
    return lambda weights: figure(weights[searches.non_mated_person_S], weights[searches.mated_person_M])


def _in_words(spread: Spread | None, sign: str = "") -> str:
    return (
        "no interval"
        if spread is None
        else f"{100 * spread.lower_95:{sign}.1f} to {100 * spread.upper_95:{sign}.1f}"
    )


def report(kind: str, found: Mapping[str, Searches], threshold: float) -> dict[str, object]:
    """Print one kind's figures and return them for the plot."""
    base = found[BASE]
    print(
        f"\n{kind}: {base.people} people, {len(base.mated_M)} mated and {len(base.non_mated_S)} non-mated searches"
    )
    kept: dict[str, object] = {}
    once = np.ones(base.people, np.int64)
    for name, searches in found.items():
        print(f"  {name}")
        points = []
        for rate in FPIRS:
            tpir = at_fpir(searches, rate)
            interval = bootstrap(tpir, base.people, rounds=ROUNDS, seed=SEED)
            points.append((rate, tpir(once), interval and (interval.lower_95, interval.upper_95)))
            print(f"    TPIR at FPIR {rate:.1%}: {tpir(once):.1%} ({_in_words(interval)})")
        for level in sorted({*LEVELS, threshold}):
            tracks, looks = (
                fpir(scores, level) for scores in (searches.non_mated_S, searches.non_mated_looks_L)
            )
            print(f"    at {level}: TPIR {_share(searches.mated_M >= level)}")
            print(f"        FPIR of tracks {_rate(tracks)}, of looks {_rate(looks)}")
        kept[name] = points
    for rate in FPIRS:
        for other in (BEST, BASE):
            gain, spread = _gain(found[CHOSEN], found[other], rate)
            print(
                f"  {CHOSEN} against {other}, FPIR {rate:.1%}: {100 * gain:+.1f} points ({_in_words(spread, '+')})"
            )
    return kept


def _gain(searches: Searches, base: Searches, rate: float) -> tuple[float, Spread | None]:
    ours, theirs = at_fpir(searches, rate), at_fpir(base, rate)

    def difference(weights: Weights) -> float:
        return ours(weights) - theirs(weights)

    found = bootstrap(difference, base.people, rounds=ROUNDS, seed=SEED)
    return difference(np.ones(base.people, np.int64)), found


def _share(hits: NDArray[np.bool_]) -> str:
    return _rate(proportion(int(np.count_nonzero(hits)), len(hits)))


def _rate(rate: Rate) -> str:
    return f"{rate.count} of {rate.total} = {rate.value:.2%} ({rate.lower_95:.2%} to {rate.upper_95:.2%})"


def report_bound(kinds: Mapping[str, Sequence[Track]]) -> None:
    """Print how often each bound takes a look at the same face for another, and two people for one."""
    for kind, tracks in kinds.items():
        same = [one for track in tracks for one in _with_those_before(track.looks_KD, track)]
        # Of a clip it is not known that two names are two people.
        shifted = [*tracks[1:], *tracks[:1]]
        other = [
            float(_before(track) @ stranger.looks_KD[-1])
            for track, stranger in zip(tracks, shifted, strict=True)
            if track.person != stranger.person and "photograph" in kind
        ]
        print(
            f"\n{kind}: cosine with the looks before, fused; {len(same)} of one person, {len(other)} of two"
        )
        for bound in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45):
            merged = _share(np.array(other) >= bound) if other else "not known"
            print(
                f"  bound {bound}: one begun anew {_share(np.array(same) < bound)}; two taken for one {merged}"
            )


def _before(track: Track) -> NDArray[np.float32]:
    fused_D = fuse_track(track.looks_KD, track.weights_K, least_cosine=-1.0)
    return track.looks_KD[-1] if fused_D is None else fused_D


def _with_those_before(looks_KD: NDArray[np.float32], track: Track) -> list[float]:
    found = []
    for index in range(1, len(looks_KD)):
        part = Track(track.person, track.clip, looks_KD[:index], track.weights_K[:index], track.reference_D)
        found.append(float(_before(part) @ looks_KD[index]))
    return found


def plot(path: Path, kinds: Mapping[str, Mapping[str, Searches]]) -> None:
    """Draw TPIR over FPIR for the rules that a system could use, one panel a kind."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, panels = plt.subplots(1, len(kinds), figsize=(4.2 * len(kinds), 4), sharey=True, squeeze=False)
    for axes, (kind, found) in zip(panels[0], kinds.items(), strict=True):
        for name, searches in found.items():
            levels_L = np.sort(searches.non_mated_S)[::-1]
            rates_L = np.arange(1, len(levels_L) + 1) / len(levels_L)
            found_L = [float(np.mean(searches.mated_M >= level)) for level in levels_L]
            axes.plot(100 * rates_L, 100 * np.array(found_L), label=name, linewidth=1.3)
        axes.set(title=kind, xscale="log", xlim=(0.05, 5), ylim=(65, 100.5), xlabel="FPIR, %")
        axes.title.set_fontsize(9)
    panels[0][0].set(ylabel="TPIR, %")
    panels[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the tracks, search them, print and keep the figures."""
    parser = argparse.ArgumentParser(description="What the fusion of a track's looks brings.")
    parser.add_argument("--lfw", type=Path, required=True, help="one folder a person")
    parser.add_argument("--crowd", type=Path, nargs="*", default=[], help="clips of people to be told apart")
    parser.add_argument("--pair", type=Path, nargs=2, help="two clips of one person")
    parser.add_argument("--models", type=Path, required=True, help="folder that `overt models fetch` filled")
    parser.add_argument("--threads", type=int, default=1, help="threads of each network (default 1)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the plot and the figures")
    given = parser.parse_args(arguments)
    pack = load_pack("cpu", given.models, threads=given.threads)
    threshold = pack.info.calibration.default_threshold
    assert threshold is not None
    kinds: dict[str, Sequence[Track]] = {
        "real video, crowd": [track for clip in given.crowd for track in of_crowd(clip, seen_in(clip, pack))]
    }
    if given.pair:
        first, second = (seen_in(clip, pack) for clip in given.pair)
        kinds["real video, one man"] = [*of_pair(first, second), *of_pair(second, first)]
    entries = enrolled(given.lfw, pack)
    for kind, made in SIMULATED.items():
        kinds[kind] = list(of_photographs(given.lfw, pack, entries, made))
    report_all({kind: tracks for kind, tracks in kinds.items() if tracks}, entries, threshold, given.out)


def report_all(
    kinds: Mapping[str, Sequence[Track]], entries: Mapping[str, Enrolled], threshold: float, out: Path
) -> None:
    """Print everything and keep figures and plot in `out`."""
    report_bound(kinds)
    found = {kind: search(tracks, entries) for kind, tracks in kinds.items()}
    figures = {kind: report(kind, searches, threshold) for kind, searches in found.items()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "fusion.json").write_text(json.dumps(figures, indent=1))
    plot(out / "fusion.png", found)


if __name__ == "__main__":
    main()
