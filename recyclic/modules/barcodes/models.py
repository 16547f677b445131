"""The tables of barcodes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

metadata = MetaData()


class Base(DeclarativeBase):
    """The tables of this module."""

    metadata = metadata


class Label(Base):
    """A label: a code, and what it tells the till. `number` is the part of the code that counts."""

    __tablename__ = "barcodes_label"
    __table_args__ = (
        UniqueConstraint("code", name="uq_barcodes_label_code"),
        UniqueConstraint("number", name="uq_barcodes_label_number"),
        CheckConstraint("price_cents >= 0", name="ck_barcodes_label_price"),
        CheckConstraint("weight_grams >= 0", name="ck_barcodes_label_weight"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str] = mapped_column(String(13))
    label: Mapped[str] = mapped_column(String(200))
    category_name: Mapped[str | None] = mapped_column(String(200))
    price_cents: Mapped[int] = mapped_column(Integer)
    weight_grams: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Counter(Base):
    """The last number given. Its one row is the lock under which labels get their numbers."""

    __tablename__ = "barcodes_counter"
    __table_args__ = (CheckConstraint("id = 1", name="ck_barcodes_counter_single"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_number: Mapped[int] = mapped_column(BigInteger)
