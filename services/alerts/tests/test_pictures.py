"""Pictures: sealed, shown through short-lived links to one session, each view written down."""

import pytest
from sqlalchemy import select

from overt.alerts import audit
from overt.alerts.pictures import Vault
from overt.alerts.service import LINK_TTL_S
from overt.alerts.tables import AuditRow, PictureRow
from overt.runtime.envelope import NotSealed
from services.alerts.tests.conftest import DEPLOYMENT, World, jpeg


@pytest.fixture
def alert_id(world: World) -> str:
    world.order()
    return world.raise_alert()


def views(world: World) -> list[tuple[str, str, str]]:
    query = select(AuditRow).where(AuditRow.action == "picture.view")
    rows = world.read(lambda db: [(r.person_id, r.subject, r.detail.split()[0]) for r in db.scalars(query)])
    return list(rows)


def test_each_view_of_a_picture_is_audited(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 1")
    pictures = browser.pictures(alert_id)
    assert pictures.keys() == {"portrait", "reference", "context"}
    assert views(world) == []
    for kind in ("portrait", "reference", "portrait"):
        answer = browser.get(pictures[kind])
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
    assert views(world) == [("operator-1", alert_id, kind) for kind in ("portrait", "reference", "portrait")]
    assert world.read(audit.first_broken) is None


def test_a_link_of_one_session_is_of_no_use_in_another(world: World, alert_id: str) -> None:
    link = world.sign_in("Operator 1").pictures(alert_id)["portrait"]
    assert world.sign_in("Operator 2").get(link).status_code == 410
    assert world.sign_in("Operator 1").get(link).status_code == 410
    assert world.browser().get(link).status_code == 401
    assert views(world) == []


def test_a_link_expires(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 1")
    link = browser.pictures(alert_id)["portrait"]
    world.clock.advance(LINK_TTL_S - 1)
    assert browser.get(link).status_code == 200
    world.clock.advance(LINK_TTL_S + 1)
    assert browser.get(link).status_code == 410


@pytest.mark.parametrize(
    ("old", "new"), [("portrait", "context"), ("until=1", "until=2"), ("sig=", "sig=0"), ("?v=", "?v=0")]
)
def test_a_changed_link_is_refused(world: World, alert_id: str, old: str, new: str) -> None:
    browser = world.sign_in("Operator 1")
    link = browser.pictures(alert_id)["portrait"]
    assert old in link
    assert browser.get(link.replace(old, new, 1)).status_code == 410


def test_the_link_of_a_replaced_picture_shows_no_other_picture(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 1")
    link = browser.pictures(alert_id)["portrait"]
    world.send(world.match(number=2, similarity=0.9, portrait_jpeg=jpeg("BETTER")))
    assert browser.get(link).status_code == 410
    assert browser.get(browser.pictures(alert_id)["portrait"]).content == jpeg("BETTER")


def test_a_page_drawn_twice_within_a_minute_has_the_same_links(world: World, alert_id: str) -> None:
    browser = world.sign_in("Operator 1")
    assert browser.pictures(alert_id) == browser.pictures(alert_id)


def test_once_the_key_is_destroyed_pictures_and_names_are_gone_and_the_record_stays(
    world: World, alert_id: str
) -> None:
    browser = world.sign_in("Operator 1")
    link = browser.pictures(alert_id)["portrait"]
    world.keys.close(DEPLOYMENT)
    assert browser.get(link).status_code == 410
    page = browser.get(f"/alerts/{alert_id}").text
    assert "Entry One" not in page
    assert "entry-1" in page


def test_a_blob_moved_to_another_alert_or_kind_does_not_open(world: World, alert_id: str) -> None:
    row = world.read(lambda db: db.get(PictureRow, (alert_id, "portrait")))
    vault = Vault(world.keys)
    assert vault.open(row).startswith(b"\xff\xd8\xff")
    for moved in (("other", "portrait"), (alert_id, "context")):
        with pytest.raises(NotSealed):
            vault.open(PictureRow(alert_id=moved[0], kind=moved[1], sealed=row.sealed))
