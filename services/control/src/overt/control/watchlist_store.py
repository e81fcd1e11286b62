"""Lists, entries and sealed reference pictures in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from overt.control.database import scrub
from overt.control.policy import Category, WatchlistFacts
from overt.control.tables import EntryRow, PictureRow, WatchlistRow


@dataclass(frozen=True, slots=True)
class Listed:
    """One picture on its way into a list. `sealed` is its portrait, sealed; `digest` a keyed hash."""

    entry_id: str
    label: str
    category: Category
    digest: str
    quality: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class StoredCard:
    """What an entry shows: its label, its category and its best picture, still sealed."""

    label: str
    category: str
    sealed: bytes


class WatchlistStore:
    """Lists by id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, watchlist_id: str) -> tuple[str, float | None] | None:
        """Return (fingerprint, erased_at_s) of a list, or None."""
        with Session(self._engine) as session:
            row = session.get(WatchlistRow, watchlist_id)
            return None if row is None else (row.fingerprint, row.erased_at_s)

    def create(self, watchlist_id: str, fingerprint: str, at_s: float) -> None:
        """Keep a new, empty list."""
        with Session(self._engine) as session, session.begin():
            session.add(WatchlistRow(watchlist_id=watchlist_id, fingerprint=fingerprint, created_at_s=at_s))

    def kept(self) -> Sequence[tuple[str, str]]:
        """(list id, fingerprint) of every list that was not erased."""
        query = select(WatchlistRow).where(WatchlistRow.erased_at_s.is_(None))
        with Session(self._engine) as session:
            return [(row.watchlist_id, row.fingerprint) for row in session.scalars(query)]

    def facts(self, watchlist_id: str) -> WatchlistFacts | None:
        """What the rules look at; None for an unknown or erased list. Half-enrolled entries don't count."""
        enrolled = select(PictureRow.entry_id).where(
            PictureRow.watchlist_id == watchlist_id, PictureRow.enrolled.is_(True)
        )
        entries = select(
            func.count(), func.min(EntryRow.imported_at_s), func.max(EntryRow.imported_at_s)
        ).where(EntryRow.watchlist_id == watchlist_id, EntryRow.entry_id.in_(enrolled))
        with Session(self._engine) as session:
            row = session.get(WatchlistRow, watchlist_id)
            if row is None or row.erased_at_s is not None:
                return None
            size, oldest_s, newest_s = session.execute(entries).one()
            return WatchlistFacts(
                row.fingerprint, size, oldest_s or row.created_at_s, newest_s or row.created_at_s
            )

    def labels(self, watchlist_id: str) -> Mapping[str, str]:
        """Label of every entry of a list, by entry id."""
        query = select(EntryRow).where(EntryRow.watchlist_id == watchlist_id)
        with Session(self._engine) as session:
            return {row.entry_id: row.label or "" for row in session.scalars(query)}

    def enrolled_as(self, watchlist_id: str, digest: str) -> str | None:
        """The entry that this very picture is enrolled under, if any."""
        query = select(PictureRow.entry_id).where(
            PictureRow.watchlist_id == watchlist_id,
            PictureRow.digest == digest,
            PictureRow.enrolled.is_(True),
        )
        with Session(self._engine) as session:
            return session.scalars(query).first()

    def announce(self, watchlist_id: str, listed: Sequence[Listed], at_s: float) -> None:
        """Keep pictures, not enrolled yet: their templates are added to the gallery next."""
        with Session(self._engine) as session, session.begin():
            for one in listed:
                session.merge(
                    EntryRow(
                        watchlist_id=watchlist_id,
                        entry_id=one.entry_id,
                        label=one.label,
                        category=one.category,
                        imported_at_s=at_s,
                    )
                )
            session.flush()
            for one in listed:
                session.merge(
                    PictureRow(
                        watchlist_id=watchlist_id,
                        entry_id=one.entry_id,
                        digest=one.digest,
                        quality=one.quality,
                        sealed=one.sealed,
                        enrolled=False,
                    )
                )

    def confirm(self, watchlist_id: str, listed: Sequence[Listed]) -> None:
        """Mark pictures as enrolled: the gallery has their templates."""
        with Session(self._engine) as session, session.begin():
            for one in listed:
                key = (watchlist_id, one.entry_id, one.digest)
                session.get_one(PictureRow, key).enrolled = True

    def refresh(self, watchlist_id: str, entry_id: str, *, category: Category, at_s: float) -> None:
        """Note that an entry was imported again, unchanged: that is a check against its source."""
        this = (EntryRow.watchlist_id == watchlist_id) & (EntryRow.entry_id == entry_id)
        with Session(self._engine) as session, session.begin():
            session.execute(update(EntryRow).where(this).values(imported_at_s=at_s, category=category))

    def card(self, watchlist_id: str, entry_id: str) -> StoredCard | None:
        """The entry with its best enrolled picture; None when there is none or the list was erased."""
        best = (
            select(EntryRow.label, EntryRow.category, PictureRow.sealed)
            .join(
                PictureRow,
                (PictureRow.watchlist_id == EntryRow.watchlist_id)
                & (PictureRow.entry_id == EntryRow.entry_id),
            )
            .where(
                EntryRow.watchlist_id == watchlist_id,
                EntryRow.entry_id == entry_id,
                PictureRow.enrolled.is_(True),
            )
            .order_by(PictureRow.quality.desc(), PictureRow.digest)
        )
        with Session(self._engine) as session:
            row = session.execute(best).first()
            return None if row is None else StoredCard(row.label or "", row.category, row.sealed)

    def erase(self, watchlist_id: str, at_s: float) -> None:
        """Delete every picture and label of a list; references, categories and dates stay."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(PictureRow).where(PictureRow.watchlist_id == watchlist_id))
            session.execute(update(EntryRow).where(EntryRow.watchlist_id == watchlist_id).values(label=None))
            session.execute(
                update(WatchlistRow).where(WatchlistRow.watchlist_id == watchlist_id).values(erased_at_s=at_s)
            )
        scrub(self._engine)
