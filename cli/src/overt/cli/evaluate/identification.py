"""Protocol `identification`: open-set search of a list, as in ISO/IEC 19795-1."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overt.cli.evaluate.dataset import OpenSet
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.faces import Faces
from overt.cli.evaluate.openset import ListResult, Roster, draw_up, everybody, search_list
from overt.cli.evaluate.trials import Trials


def identify(people: OpenSet, faces: Faces, *, list_size: int | None, seed: int) -> tuple[Trials, ...]:
    """Return the searches in each list, the one asked for first.

    Lists: `list_size` entries drawn anew for each search, where so many can be drawn; everybody who is
    enrolled; and, of one folder, everybody, where a non-mated search leaves its own entry out. Raises
    EvaluationRefused when there is no mated or no non-mated search.
    """
    roster = draw_up(people, faces)
    if not roster.mated or not roster.entries:
        raise EvaluationRefused(
            "there is no mated search: nobody on the list has a second picture with a face"
        )
    numbers = {person: number for number, person in enumerate(sorted({*people.enrolled, *people.probes}))}
    results = list(_lists(people, faces, roster, list_size=list_size, seed=seed))
    if not results:
        raise EvaluationRefused("there is no non-mated search: nobody is searched for who is not on the list")
    return tuple(_trials(each, numbers, roster) for each in results)


def _lists(
    people: OpenSet, faces: Faces, roster: Roster, *, list_size: int | None, seed: int
) -> Sequence[ListResult]:
    whole = everybody(people, faces, roster) if people.whole else None
    found = []
    if roster.non_mated:
        found.append(search_list(roster, faces, seed=seed))
    if whole is not None:
        found.append(search_list(whole, faces, seed=seed))
    larger = [(roster, found[0].size)] if roster.non_mated else []
    larger += [(whole, found[-1].size)] if whole is not None else []
    sizes = {each.size for each in found}
    source = next((who for who, size in larger if list_size is not None and list_size < size), None)
    if source is not None and list_size not in sizes:
        found.insert(0, search_list(source, faces, size=list_size, seed=seed))
    return found


def _trials(result: ListResult, numbers: dict[str, int], roster: Roster) -> Trials:
    mated, non_mated = result.mated, result.non_mated
    return Trials(
        size=result.size,
        people=tuple(numbers),
        mated_M=mated.own_S,
        ranks_M=mated.ranks_S,
        people_M2=_twice(mated.people, numbers),
        mated_names=tuple(
            (name, roster.entries[person]) for person, name in zip(mated.people, mated.names, strict=True)
        ),
        best_S=non_mated.best_S,
        people_S2=_twice(non_mated.people, numbers),
        non_mated_names=tuple(zip(non_mated.names, non_mated.best_names, strict=True)),
    )


def _twice(people: Sequence[str], numbers: dict[str, int]) -> NDArray[np.intp]:
    return np.array([[numbers[person]] * 2 for person in people], np.intp).reshape(-1, 2)
