"""The tables of control's database. Templates are not here: they are in Milvus, rotated."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The schema."""


class OrderRow(Base):
    """One revision of one order, exactly as it was signed. Never changed; only `published_at_s` is set."""

    __tablename__ = "orders"

    deployment_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    watchlist_id: Mapped[str] = mapped_column(String(64), index=True)
    order_json: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    published_at_s: Mapped[float | None] = mapped_column(default=None)


class WatchlistRow(Base):
    """One list. `erased_at_s` is set when its pictures, templates and keys are gone."""

    __tablename__ = "watchlists"

    watchlist_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    created_at_s: Mapped[float]
    erased_at_s: Mapped[float | None] = mapped_column(default=None)


class EntryRow(Base):
    """One person on one list. The label goes at erasure; reference, list and dates stay as the log."""

    __tablename__ = "entries"

    watchlist_id: Mapped[str] = mapped_column(ForeignKey("watchlists.watchlist_id"), primary_key=True)
    entry_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[str | None] = mapped_column(String(200))
    category: Mapped[str] = mapped_column(String(40))
    imported_at_s: Mapped[float]


class PictureRow(Base):
    """One reference picture, sealed. `enrolled` only once its template stands in the gallery.

    `digest` is a keyed hash of the file: it tells a repeated import, and nothing once the key is gone.
    """

    __tablename__ = "pictures"
    __table_args__ = (
        ForeignKeyConstraint(["watchlist_id", "entry_id"], ["entries.watchlist_id", "entries.entry_id"]),
    )

    watchlist_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    entry_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    quality: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    enrolled: Mapped[bool] = mapped_column(default=False)


class KeyRow(Base):
    """One lasting key, wrapped by the key-encryption key."""

    __tablename__ = "keys"

    scope: Mapped[str] = mapped_column(String(100), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(200), unique=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
