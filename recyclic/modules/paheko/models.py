"""The tables of paheko: what is to be sent, and how far it has come."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, DateTime, Index, Integer, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

metadata = MetaData()


class State(StrEnum):
    """How far one thing has come on its way to Paheko."""

    WAITING = "waiting"
    """Not there, and nothing under way."""
    WRITING = "writing"
    """Sent, and no answer is known: it may be there."""
    WRITTEN = "written"
    """There; or nothing had to be sent."""
    QUARANTINED = "quarantined"
    """Refused for good: a person has to look at `last_error`."""


class Base(DeclarativeBase):
    """The tables of this module."""

    metadata = metadata


class Outgoing(Base):
    """What every table of things to send has."""

    __abstract__ = True

    if TYPE_CHECKING:
        key: Mapped[str]  # each table names its own

    state: Mapped[str] = mapped_column(String(20), default=State.WAITING)
    remote_id: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    last_error: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class EntryRow(Outgoing):
    """One closed session; `remote_id` is its transaction in Paheko, none where there was nothing to book."""

    __tablename__ = "paheko_entry"
    __table_args__ = (
        UniqueConstraint("reference", name="uq_paheko_entry_reference"),
        Index("ix_paheko_entry_state", "state", "created_at"),
    )

    key: Mapped[str] = mapped_column("session_id", Text, primary_key=True)
    reference: Mapped[str] = mapped_column(Text)
    amount_cents: Mapped[int | None] = mapped_column(BigInteger)


class MemberRow(Outgoing):
    """One member; `remote_id` is the member's id in Paheko."""

    __tablename__ = "paheko_member"
    __table_args__ = (Index("ix_paheko_member_state", "state", "created_at"),)

    key: Mapped[str] = mapped_column("member_id", Text, primary_key=True)


def utc(moment: datetime) -> datetime:
    """Give a moment its zone: SQLite forgets it."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
