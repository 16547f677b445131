"""The tables of members."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, Index, Integer, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

metadata = MetaData()


class Base(DeclarativeBase):
    """The tables of this module."""

    metadata = metadata


class Member(Base):
    """One member. The `…_key` columns hold folded text: they are searched and compared, never shown."""

    __tablename__ = "members_member"
    __table_args__ = (
        UniqueConstraint("number", name="uq_members_member_number"),
        Index("ix_members_member_sort_key", "sort_key", "number"),
        Index("ix_members_member_name_key", "name_key"),
        Index("ix_members_member_email_key", "email_key"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    first_name: Mapped[str] = mapped_column(String(100))
    last_name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str | None] = mapped_column(String(254))
    phone: Mapped[str | None] = mapped_column(String(30))
    address: Mapped[str | None] = mapped_column(String(300))
    postal_code: Mapped[str | None] = mapped_column(String(12))
    city: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    name_key: Mapped[str] = mapped_column(String(300))
    email_key: Mapped[str | None] = mapped_column(String(300))
    sort_key: Mapped[str] = mapped_column(String(300))
    search_key: Mapped[str] = mapped_column(Text)


class Counter(Base):
    """The last number given. Its one row is the lock under which members are written down, one after the other."""

    __tablename__ = "members_counter"
    __table_args__ = (CheckConstraint("id = 1", name="ck_members_counter_single"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_number: Mapped[int] = mapped_column(Integer)
