"""A service that starts before Milvus waits for it, says so, and does not wait for ever."""

from typing import cast

import pytest
from structlog.testing import capture_logs

from overt.recognition import gallery_start
from overt.recognition.errors import GalleryError, GalleryUnavailable
from overt.recognition.gallery import Gallery
from overt.recognition.gallery_start import await_gallery
from overt.runtime.clock import ManualClock
from overt.runtime.health import Health

AWAY = "the gallery does not answer"


class Milvus:
    """Away for `absences` tries, each of which takes `try_s`; notes what /readyz says at each."""

    def __init__(self, absences: int, try_s: float = 0.0) -> None:
        self.absences = absences
        self.try_s = try_s
        self.health = Health()
        self.clock = ManualClock()
        self.said: list[str | None] = []

    def open(self) -> Gallery:
        self.said.append(self.health.problems().get("gallery"))
        self.clock.advance(self.try_s)
        if len(self.said) <= self.absences:
            raise GalleryUnavailable(AWAY)
        return cast("Gallery", self)

    def awaited(self, patience_s: float) -> Gallery:
        return await_gallery(self.open, patience_s, service="match", health=self.health, clock=self.clock)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_start, "ASK_EVERY_S", 0)


def test_a_milvus_that_comes_later_is_waited_for_and_readyz_says_why() -> None:
    milvus = Milvus(absences=2)
    with capture_logs() as lines:
        assert milvus.awaited(3600) is cast("Gallery", milvus)
    assert milvus.said == [None, AWAY, AWAY]
    assert milvus.health.problems() == {}
    assert [(line["event"], line["service"]) for line in lines] == [("waiting for Milvus", "match")]


def test_a_milvus_that_stays_away_is_given_up_after_the_patience_and_not_before() -> None:
    milvus = Milvus(absences=100, try_s=10)
    with capture_logs(), pytest.raises(GalleryUnavailable) as raised:
        milvus.awaited(25)
    assert str(raised.value) == f"{AWAY} (waited 30 s for Milvus)"
    assert len(milvus.said) == 3


def test_without_patience_it_is_asked_once() -> None:
    milvus = Milvus(absences=1)
    with pytest.raises(GalleryUnavailable):
        milvus.awaited(0)
    assert len(milvus.said) == 1


def test_what_waiting_does_not_mend_is_raised_at_once() -> None:
    def refuse() -> Gallery:
        raise GalleryError("no such token")

    with pytest.raises(GalleryError, match="no such token"):
        await_gallery(refuse, 3600, service="match", health=Health(), clock=ManualClock())
