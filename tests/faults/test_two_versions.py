"""A rolling upgrade to a version whose templates have one more field: old and new work side by side."""

from collections.abc import Callable

import msgspec
import pytest

from overt.contracts.codec import Unreadable, decode
from overt.contracts.topics import TEMPLATES, TOPICS
from overt.runtime.envelope import key_id_of, unseal
from tests.integration.deployed import MODULES

from .later_version import ADDED
from .records import letters, of_this_run
from .run import Outcome, Run
from .stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

Survives = Callable[[Callable[[Run], object]], Outcome]
# Who reads templates before who writes them: a message with a field that its reader does not know is parked.
READERS_FIRST = ("match", "embed")
SIDE_BY_SIDE_S = 8.0


def templates(stage: Stage) -> list[bytes]:
    """Return the templates of this run, opened."""
    keys = stage.system.keys_of("match")
    try:
        return [
            unseal(
                record.value or b"",
                keys.by_id(key_id_of(record.value or b"")),
                topic=record.topic,
                record_key=record.key,
            )
            for record in of_this_run(stage, TEMPLATES)
        ]
    finally:
        keys.close()


def is_later(template: bytes) -> bool:
    return ADDED in msgspec.msgpack.decode(template)


def upgrade(run: Run, name: str) -> None:
    """Let a later version of a service join the old one's group, then end the old one."""
    stage = run.stage
    stage.system.modules[name] = ("tests.faults.later_version", *MODULES[name])
    beside = f"{name}-later"
    stage.system.begin(name, alias=beside, OVERT_KAFKA_INSTANCE_ID=beside)
    stage.until(lambda: stage.system.services[beside].ready, f"{beside} is ready")
    run.watch(SIDE_BY_SIDE_S)
    stage.begin_anew(name)
    stage.supervisor.retire(beside, stage.system.services.pop(beside))


def test_a_rolling_upgrade_loses_nothing_when_readers_go_first(survives: Survives, stage: Stage) -> None:
    parked = {name: letters(stage, topic) for name, topic in TOPICS.items()}
    seen: list[bytes] = []

    def roll(run: Run) -> None:
        stage.until(lambda: bool(of_this_run(stage, TEMPLATES)), "the old version makes templates")
        for name in READERS_FIRST:
            upgrade(run, name)
        stage.until(lambda: any(map(is_later, templates(stage))), "the later version makes templates")
        seen.extend(templates(stage))

    try:
        assert survives(roll).ended_by_themselves == []
        assert {name: letters(stage, topic) for name, topic in TOPICS.items()} == parked
        assert {is_later(template) for template in seen} == {False, True}
        # Why readers go first.
        with pytest.raises(Unreadable, match="unknown field"):
            decode(TEMPLATES, next(filter(is_later, seen)))
    finally:
        for name in READERS_FIRST:
            stage.system.modules.pop(name, None)
            stage.begin_anew(name)
