"""A track flagged as perhaps a picture of a face is searched and matched like any other."""

from collections.abc import Callable

import msgspec
import pytest

from overt.contracts.messages import MatchMade, Presentation, TemplateMade
from overt.contracts.orders import Order

from .conftest import World

# The first two are far from both entries of the list.
SIMILARITIES = (-0.9, -0.95, 0.5, 0.7, 0.99)


@pytest.mark.parametrize("flagged", [True, False])
def test_the_flag_goes_through_and_changes_nothing_else(
    world: World,
    make_order: Callable[..., Order],
    make_template: Callable[..., TemplateMade],
    *,
    flagged: bool,
) -> None:
    world.publish(make_order())
    said = Presentation(looks=9, flagged=flagged)
    plain = world.handle(*(make_template(value) for value in SIMILARITIES))
    told = world.handle(*(make_template(value, presentation=said) for value in SIMILARITIES))
    assert len(plain) == 3
    assert all(match.shot.presentation == said for match in told)
    assert [_bare(match) for match in told] == plain


def _bare(match: MatchMade) -> MatchMade:
    return msgspec.structs.replace(match, shot=msgspec.structs.replace(match.shot, presentation=None))
