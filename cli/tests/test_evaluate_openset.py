"""Who is searched for in which list: synthetic templates, against the slow obvious version."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.cli.evaluate.dataset import OpenSet
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.faces import Faces
from overt.cli.evaluate.identification import identify
from overt.cli.evaluate.openset import draw_up, search_list

PICTURES = {"a": 3, "b": 2, "c": 1, "d": 1, "e": 2, "f": 1}


def named(person: str) -> tuple[str, ...]:
    return tuple(f"{person}/{number}" for number in range(PICTURES[person]))


EVERYBODY = {person: named(person) for person in PICTURES}
PEOPLE = OpenSet(
    Path(), {person: names for person, names in EVERYBODY.items() if len(names) > 1}, EVERYBODY, whole=True
)


def faces(*without: str, seed: int = 1) -> Faces:
    random = np.random.default_rng(seed)
    names = [name for name in PEOPLE.names if name not in without]
    templates_ND: NDArray[np.float32] = random.normal(size=(len(names), 8)).astype(np.float32)
    templates_ND /= np.linalg.norm(templates_ND, axis=1, keepdims=True)
    return Faces(
        templates_ND, {name: row for row, name in enumerate(names)}, dict.fromkeys(without, "no face")
    )


def similarity(made: Faces, first: str, second: str) -> float:
    return float(made.rows([first])[0] @ made.rows([second])[0])


def test_everybody_enrolled_is_searched_for_with_all_further_pictures() -> None:
    roster = draw_up(PEOPLE, faces())

    assert roster.entries == {"a": "a/0", "b": "b/0", "e": "e/0"}
    assert roster.mated == (("a", "a/1"), ("a", "a/2"), ("b", "b/1"), ("e", "e/1"))
    assert roster.non_mated == (("c", "c/0"), ("d", "d/0"), ("f", "f/0"))


def test_of_a_stranger_one_picture_is_searched_for_as_many_of_one_person_are_no_independent_trials() -> None:
    people = OpenSet(
        Path(), {"b": ("b/0",)}, {name: EVERYBODY[name] for name in ("a", "b", "c", "e")}, whole=False
    )

    roster = draw_up(people, faces("a/0"))

    assert roster.mated == (("b", "b/1"),)
    assert roster.non_mated == (("a", "a/1"), ("c", "c/0"), ("e", "e/0"))


def test_a_first_picture_without_a_face_is_an_attempt_and_the_next_one_is_enrolled() -> None:
    roster = draw_up(PEOPLE, faces("a/0", "b/0", "b/1", "c/0", "e/1"))

    assert roster.entries == {"a": "a/1", "e": "e/0"}
    assert roster.mated == (("a", "a/2"),)
    assert roster.failed_mated == (("e", "e/1"),)
    assert roster.non_mated == (("d", "d/0"), ("f", "f/0"))
    assert roster.not_enrolled == ("b",)


def test_each_search_returns_the_score_and_rank_of_the_own_entry_and_the_best_of_the_others() -> None:
    made = faces()
    roster = draw_up(PEOPLE, made)

    found = search_list(roster, made, seed=1)

    assert found.size == 3
    for number, (person, name) in enumerate(roster.mated):
        own = similarity(made, name, roster.entries[person])
        others = [similarity(made, name, entry) for who, entry in roster.entries.items() if who != person]
        assert found.mated.own_S[number] == pytest.approx(own)
        assert found.mated.ranks_S[number] == 1 + sum(other > own for other in others)
        assert found.mated.best_S[number] == pytest.approx(max(others))
    for number, (_, name) in enumerate(roster.non_mated):
        scores = {entry: similarity(made, name, entry) for entry in roster.entries.values()}
        assert found.non_mated.best_S[number] == pytest.approx(max(scores.values()))
        assert found.non_mated.best_names[number] == max(scores, key=lambda entry: scores[entry])


def test_in_a_list_of_everybody_a_non_mated_search_leaves_the_own_entry_out() -> None:
    made = faces()
    _, everybody = identify(PEOPLE, made, list_size=None, seed=1)

    assert everybody.size == len(PICTURES) - 1
    for (name, best), score in zip(everybody.non_mated_names, everybody.best_S, strict=True):
        person = name.split("/")[0]
        others = {f"{who}/0" for who in PICTURES if who != person}
        assert best in others
        assert score == pytest.approx(max(similarity(made, name, other) for other in others))


@pytest.mark.parametrize("size", [1, 2])
def test_a_smaller_list_is_drawn_for_each_search_and_holds_the_own_entry_of_a_mated_one(size: int) -> None:
    made = faces()
    full = search_list(draw_up(PEOPLE, made), made, seed=1)

    found = [search_list(draw_up(PEOPLE, made), made, size=size, seed=seed) for seed in range(60)]

    for each in found:
        assert each.size == size
        assert each.mated.own_S.tolist() == full.mated.own_S.tolist()
        assert (each.mated.ranks_S <= size).all()
        assert (each.non_mated.best_S <= full.non_mated.best_S).all()
    # Every entry is drawn sometimes, and in one list of `size` of three the best of all is there in size/3.
    there = np.mean([each.non_mated.best_S == full.non_mated.best_S for each in found])
    assert there == pytest.approx(size / 3, abs=0.12)


def test_one_seed_draws_one_list() -> None:
    made = faces()
    drawn = [search_list(draw_up(PEOPLE, made), made, size=2, seed=seed).non_mated.best_S for seed in (1, 1)]
    assert (drawn[0] == drawn[1]).all()


def test_the_list_that_was_asked_for_comes_first() -> None:
    assert [each.size for each in identify(PEOPLE, faces(), list_size=2, seed=1)] == [2, 3, 5]
    assert [each.size for each in identify(PEOPLE, faces(), list_size=4, seed=1)] == [4, 3, 5]
    assert [each.size for each in identify(PEOPLE, faces(), list_size=3, seed=1)] == [3, 5]
    assert [each.size for each in identify(PEOPLE, faces(), list_size=99, seed=1)] == [3, 5]


def test_nobody_to_be_found_or_nobody_to_be_missed_is_refused() -> None:
    with pytest.raises(EvaluationRefused, match="there is no mated search"):
        identify(PEOPLE, faces(*PEOPLE.names), list_size=None, seed=1)
    only = {person: EVERYBODY[person] for person in ("a", "b")}
    with pytest.raises(EvaluationRefused, match="there is no non-mated search"):
        identify(OpenSet(Path(), only, only, whole=False), faces(), list_size=None, seed=1)
