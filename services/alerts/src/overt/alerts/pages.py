"""Routes that show: the control room, one alert, a picture, the live stream."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException
from fastapi.responses import Response, StreamingResponse
from sqlalchemy.orm import Session

from overt.alerts import audit, words
from overt.alerts.board import Standing
from overt.alerts.desk import STOP_ROLES, Desk, TheDesk, TheSession
from overt.alerts.pictures import (
    PICTURE_KINDS,
    CardText,
    PictureLink,
    PictureName,
    picture_version,
    read_card,
)
from overt.alerts.rendering import page
from overt.alerts.sessions import SignedIn
from overt.alerts.store import AlertRecord, load, load_newest
from overt.alerts.tables import AlertRow, PictureRow
from overt.alerts.views import AlertView, Summary, alert_view, summary
from overt.runtime.keys import KeyGone

router = APIRouter()

LIST_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Room:
    """Everything on the control room's page."""

    session: SignedIn
    standing: Standing
    till: tuple[words.Moment, ...]
    mine: int
    waiting: tuple[Summary, ...]
    done: tuple[Summary, ...]
    alert: AlertView | None
    after: int
    key: str
    may_stop: bool

    @property
    def stamp(self) -> str:
        """Changes when the panel has to be drawn again."""
        if self.alert is None:
            return f"idle {self.standing.key}"
        return f"{self.alert.summary.alert_id} {self.alert.version} {len(self.alert.pictures)} {self.alert.summary.overdue}"


@router.get("/")
def control_room(desk: TheDesk, session: TheSession) -> Response:
    """Show the oldest alert that awaits this person, or how things stand."""
    return page("room.html", room=_room(desk, session, None))


@router.get("/alerts/{alert_id}")
def one_alert(alert_id: str, desk: TheDesk, session: TheSession) -> Response:
    """Show one alert with its history."""
    room = _room(desk, session, alert_id)
    if room.alert is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such alert.")
    return page("room.html", room=room)


def _link(alert_id: str, kind: str, *, v: str = "", until: int = 0, sig: str = "") -> PictureLink:
    return PictureLink(PictureName(alert_id, kind, v), until, sig)


@router.get("/pictures/{alert_id}/{kind}")
def picture(link: Annotated[PictureLink, Depends(_link)], desk: TheDesk, session: TheSession) -> Response:
    """Show a picture and write down who saw it. The link lives for a minute or two, in this session only."""
    if not desk.links.is_valid(session.session_id, link, desk.clock.now_s()):
        raise HTTPException(HTTPStatus.GONE, "This link has expired. Load the page again.")
    name = link.name
    with desk.store.write() as db:
        row, alert = db.get(PictureRow, (name.alert_id, name.kind)), db.get(AlertRow, name.alert_id)
        if row is None or alert is None or picture_version(name.kind, alert.probe_hash) != name.version:
            raise HTTPException(HTTPStatus.GONE, "There is another picture by now. Load the page again.")
        try:
            jpeg = desk.vault.open(row)
        except KeyGone:
            raise HTTPException(HTTPStatus.GONE, "This picture was erased.") from None
        detail = f"{name.kind} {name.version}"
        act = audit.Act(desk.clock.now_ns(), session.person.person_id, "picture.view", name.alert_id, detail)
        audit.append(db, act)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.get("/events")
async def live(
    desk: TheDesk,
    session: TheSession,
    after: int = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Stream what changes; what was missed since `Last-Event-ID`, or since `after`, comes first."""
    is_position = last_event_id is not None and re.fullmatch(r"[0-9]{1,15}", last_event_id) is not None
    position = int(last_event_id or 0) if is_position else after
    events: AsyncIterator[str] = desk.stream.events(position, lambda: desk.doorkeeper.is_alive(session))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _room(desk: Desk, session: SignedIn, alert_id: str | None) -> Room:
    viewer, standing = desk.viewer(session.person), desk.board.standing()
    # Before the alerts are read: what happens in between is told twice rather than not at all.
    after, key = desk.store.last_position(), desk.stream.key(standing)
    with desk.store.read() as db:
        records = load_newest(db, LIST_LIMIT)
        lines = [summary(record, _card(desk, db, record), viewer) for record in records]
        mine = [line.alert_id for line in lines if line.mine]
        chosen = alert_id or (mine[0] if mine else None)
        alert = _alert(desk, db, session, chosen) if chosen else None
    return Room(
        session=session,
        standing=standing,
        till=tuple(words.moment(int(o.ends_at_s * 1e9), viewer.zone, seconds=False) for o in standing.active),
        mine=len(mine),
        waiting=tuple(line for line in lines if line.pending or line.mine),
        done=tuple(reversed([line for line in lines if not (line.pending or line.mine)])),
        alert=alert,
        after=after,
        key=key,
        may_stop=desk.stop_deployment is not None and session.person.role in STOP_ROLES,
    )


def _alert(desk: Desk, db: Session, session: SignedIn, alert_id: str) -> AlertView | None:
    record = load(db, alert_id)
    if record is None:
        return None
    card = _card(desk, db, record)
    now_s = desk.clock.now_s()
    names = [
        PictureName(alert_id, kind, picture_version(kind, record.row.probe_hash))
        for kind in PICTURE_KINDS
        if kind in record.blobs
    ]
    links = {name.kind: desk.links.sign(session.session_id, name, now_s) for name in names}
    return alert_view(record, card, desk.viewer(session.person), links)


def _card(desk: Desk, db: Session, record: AlertRecord) -> CardText | None:
    row = db.get(PictureRow, (record.row.alert_id, "card"))
    try:
        return read_card(desk.vault.open(row)) if row else None
    except KeyGone:
        return None  # erased: the entry's id is what remains
