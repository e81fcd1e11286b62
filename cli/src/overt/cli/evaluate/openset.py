"""Open-set identification: who is searched for in which list, and what each search returns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.cli.evaluate.dataset import OpenSet
from overt.cli.evaluate.faces import Faces

# Probes compared with the whole list at once: bounds memory at 1,024 x list size scores.
BLOCK = 1024
NO_ENTRY = -1


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is on the list and who is searched for, once templates are there; all by the pictures' names.

    failed_mated: mated searches that could not be made for want of a template: they count as missed.
    not_enrolled: people none of whose pictures to enrol gave a template.
    """

    entries: dict[str, str]
    mated: tuple[tuple[str, str], ...]
    failed_mated: tuple[tuple[str, str], ...]
    non_mated: tuple[tuple[str, str], ...]
    not_enrolled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Searches:
    """What S searches of one kind returned: the own entry's score and rank, and the best of the others.

    own_S is -inf and ranks_S beyond the list where there is no own entry or no template.
    """

    people: tuple[str, ...]
    names: tuple[str, ...]
    own_S: NDArray[np.float32]
    ranks_S: NDArray[np.intp]
    best_S: NDArray[np.float32]
    best_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListResult:
    """Mated and non-mated searches in a list of `size` entries."""

    size: int
    mated: Searches
    non_mated: Searches


def draw_up(people: OpenSet, faces: Faces) -> Roster:
    """Return the list and the searches.

    Each is enrolled with the first picture that has a template; what stands before it was an attempt to
    enrol. A non-mated search without a template is left out: it could return nobody, which would flatter
    the FPIR. A mated one counts as missed. Of who is not on the list one picture is searched for: the bound on
    the FPIR counts independent trials, and many of one person are none.
    """
    entries: dict[str, str] = {}
    tried: set[str] = set()
    for person, names in people.enrolled.items():
        usable = next((number for number, name in enumerate(names) if name in faces.row_of), None)
        tried.update(names if usable is None else names[: usable + 1])
        if usable is not None:
            entries[person] = names[usable]
    searches = [
        (person, name) for person, names in people.probes.items() for name in names if name not in tried
    ]
    mated = [each for each in searches if each[0] in entries]
    return Roster(
        entries=entries,
        mated=tuple(each for each in mated if each[1] in faces.row_of),
        failed_mated=tuple(each for each in mated if each[1] not in faces.row_of),
        non_mated=tuple(_first_of_each(people, faces)),
        not_enrolled=tuple(person for person in people.enrolled if person not in entries),
    )


def _first_of_each(people: OpenSet, faces: Faces) -> Iterator[tuple[str, str]]:
    """Yield each person who is not on the list with the first picture that has a template."""
    for person, names in people.probes.items():
        usable = next((name for name in names if name in faces.row_of), None)
        if person not in people.enrolled and usable is not None:
            yield person, usable


def everybody(people: OpenSet, faces: Faces, roster: Roster) -> Roster:
    """Return the roster with everybody on the list; a non-mated search is one without the own entry.

    One such search a person, with the second picture that has a template, or the only one: many of one
    person would not be independent.
    """
    usable = {
        person: [name for name in names if name in faces.row_of] for person, names in people.probes.items()
    }
    usable = {person: names for person, names in usable.items() if names}
    return Roster(
        entries={person: names[0] for person, names in usable.items()} | roster.entries,
        mated=roster.mated,
        failed_mated=roster.failed_mated,
        non_mated=tuple((person, names[:2][-1]) for person, names in usable.items()),
        not_enrolled=roster.not_enrolled,
    )


def search_list(roster: Roster, faces: Faces, *, size: int | None = None, seed: int) -> ListResult:
    """Search for everybody in the roster's list; with `size`, in as many entries drawn anew for each search.

    A mated search always has its own entry among them, a non-mated one never. The size told is the one
    that non-mated searches met: without their own entry it is one less.
    """
    random = np.random.default_rng(seed)
    mated = _search(
        roster.mated, roster.entries, faces, others=None if size is None else size - 1, random=random
    )
    non_mated = _search(roster.non_mated, roster.entries, faces, others=size, random=random)
    own_left_out = any(person in roster.entries for person, _ in roster.non_mated)
    return ListResult(size or len(roster.entries) - own_left_out, _with_failed(mated, roster), non_mated)


def _with_failed(mated: Searches, roster: Roster) -> Searches:
    failed = len(roster.failed_mated)
    return Searches(
        people=(*mated.people, *(person for person, _ in roster.failed_mated)),
        names=(*mated.names, *(name for _, name in roster.failed_mated)),
        own_S=np.append(mated.own_S, np.full(failed, -np.inf, np.float32)),
        ranks_S=np.append(mated.ranks_S, np.full(failed, len(roster.entries) + 1)),
        best_S=np.append(mated.best_S, np.full(failed, -np.inf, np.float32)),
        best_names=(*mated.best_names, *("" for _ in roster.failed_mated)),
    )


def _search(
    probes: Sequence[tuple[str, str]],
    entries: dict[str, str],
    faces: Faces,
    *,
    others: int | None,
    random: np.random.Generator,
) -> Searches:
    column_of = {person: column for column, person in enumerate(entries)}
    own_S = np.array([column_of.get(person, NO_ENTRY) for person, _ in probes], np.intp)
    names = tuple(name for _, name in probes)
    gallery_GD, probes_SD = faces.rows(tuple(entries.values())), faces.rows(names)
    parts = [
        _search_block(
            probes_SD[start : start + BLOCK] @ gallery_GD.T, own_S[start : start + BLOCK], others, random
        )
        for start in range(0, len(probes), BLOCK)
    ]
    empty = (np.zeros(0, np.float32), np.zeros(0, np.intp), np.zeros(0, np.float32), np.zeros(0, np.intp))
    own, ranks, best, column = (np.concatenate(each) for each in zip(*parts, strict=True)) if parts else empty
    pictures = tuple(entries.values())
    best_names = tuple(
        pictures[index] if score > -np.inf else "" for index, score in zip(column, best, strict=True)
    )
    return Searches(tuple(person for person, _ in probes), names, own, ranks, best, best_names)


def _search_block(
    scores_SG: NDArray[np.float32], own_S: NDArray[np.intp], others: int | None, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
    """Return own score, rank, best other score and its column; the own entry is no other."""
    rows_M = np.flatnonzero(own_S != NO_ENTRY)
    own_score_S = np.full(len(own_S), -np.inf, np.float32)
    own_score_S[rows_M] = scores_SG[rows_M, own_S[rows_M]]
    scores_SG[rows_M, own_S[rows_M]] = -np.inf
    if others is not None and others < scores_SG.shape[1]:
        keys_SG = random.random(scores_SG.shape, np.float32)
        keys_SG[rows_M, own_S[rows_M]] = 2.0
        left_out_SG = np.argpartition(keys_SG, others, axis=1)[:, others:]
        np.put_along_axis(scores_SG, left_out_SG, np.float32(-np.inf), axis=1)
    ranks_S = 1 + np.count_nonzero(scores_SG > own_score_S[:, None], axis=1)
    column_S = np.argmax(scores_SG, axis=1)
    return own_score_S, ranks_S, scores_SG[np.arange(len(own_S)), column_S], column_S
