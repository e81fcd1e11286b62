"""The process: how long it waits for Milvus, and what it says when it can't begin."""

import base64
from typing import cast

import pytest
from structlog.testing import capture_logs

from overt.match import __main__ as process
from overt.match.settings import MatchSettings
from overt.recognition import gallery_start
from overt.recognition.errors import GalleryUnavailable
from overt.recognition.gallery import Gallery
from overt.runtime.process import CannotBegin
from overt.runtime.settings import load

from .conftest import World

AWAY = "the gallery does not answer"
TOLD = {
    "OVERT_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "OVERT_CONTROL_URL": "http://127.0.0.1:1",
    "OVERT_SERVICE_TOKEN": "a-token-of-this-service",
    "OVERT_ORDER_PUBLIC_KEY": base64.b64encode(bytes(32)).decode(),
    "OVERT_MILVUS_URI": "http://127.0.0.1:1",
    "OVERT_MILVUS_TOKEN": "root:secret-of-milvus",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(gallery_start, "ASK_EVERY_S", 0)


def away_for(absences: int, world: World, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Have Milvus be away for so many tries; return what /readyz says at each."""
    said: list[str | None] = []

    def connect(uri: str, token: str) -> Gallery:
        assert (uri, token) == (TOLD["OVERT_MILVUS_URI"], TOLD["OVERT_MILVUS_TOKEN"])
        said.append(world.context.health.problems().get("gallery"))
        if len(said) <= absences:
            raise GalleryUnavailable(AWAY)
        return cast("Gallery", object())

    monkeypatch.setattr(process, "Gallery", connect)
    return said


def test_match_that_starts_before_milvus_waits_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said = away_for(2, world, monkeypatch)
    with capture_logs() as lines:
        assert set(process.runners(world.context, load(MatchSettings))) == {"match"}
    assert said == [None, AWAY, AWAY]
    assert "gallery" not in world.context.health.problems()
    assert [line["event"] for line in lines] == ["waiting for Milvus"]


def test_a_milvus_that_stays_away_is_said_after_the_patience(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    away_for(100, world, monkeypatch)
    monkeypatch.setenv("OVERT_MILVUS_PATIENCE_S", "0")
    with pytest.raises(CannotBegin, match=AWAY):
        process.runners(world.context, load(MatchSettings))
