"""The till's tables. Money is integer cents, weight integer grams, a moment UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, DateTime, Dialect, ForeignKey, Index, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from recyclic.modules.caisse.ids import new_id

METHODS = ("cash", "card", "check")
"""The means of payment that carry money; `free` carries none."""


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, aware in Python on every database (SQLite stores no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return `value` in UTC; a naive one is an error of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the moment {value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the stored moment, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """The base of the till's tables; their constraints have names, so that a migration can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: BigInteger, datetime: Moment, date: Date, str: Text}  # noqa: RUF012  SQLAlchemy's own


class Register(Table):
    """A till. The one with `deferred` set has no drawer: sessions typed in from the paper notebook belong to it."""

    __tablename__ = "caisse_register"
    __table_args__ = (
        Index("uq_caisse_register_deferred", "deferred", unique=True, sqlite_where=text("deferred"),
              postgresql_where=text("deferred")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    deferred: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class CashSession(Table):
    """One opening of a register, from its float to its count.

    The totals run along with the tickets, in the same transaction, under the row's lock. The database holds the promise
    of one open session per register. Deferred sessions are left out of it: an import has several days open at once.
    """

    __tablename__ = "caisse_session"
    __table_args__ = (
        Index("uq_caisse_session_open", "register_id", unique=True,
              sqlite_where=text("status = 'open' AND NOT deferred"),
              postgresql_where=text("status = 'open' AND NOT deferred")),
        Index("uq_caisse_session_open_day", "import_id", "business_date", unique=True,
              sqlite_where=text("status = 'open' AND deferred"),
              postgresql_where=text("status = 'open' AND deferred")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    register_id: Mapped[str] = mapped_column(ForeignKey("caisse_register.id"))
    import_id: Mapped[str | None] = mapped_column(ForeignKey("caisse_import.id"))
    operator: Mapped[str]
    status: Mapped[str] = mapped_column(String(10), default="open")
    deferred: Mapped[bool] = mapped_column(default=False)
    business_date: Mapped[date]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    opening_float_cents: Mapped[int]
    ticket_count: Mapped[int] = mapped_column(default=0)
    sales_cents: Mapped[int] = mapped_column(default=0)
    donations_cents: Mapped[int] = mapped_column(default=0)
    cash_cents: Mapped[int] = mapped_column(default=0)
    card_cents: Mapped[int] = mapped_column(default=0)
    check_cents: Mapped[int] = mapped_column(default=0)
    counted_cash_cents: Mapped[int | None]
    variance_comment: Mapped[str] = mapped_column(default="")

    register: Mapped[Register] = relationship(lazy="joined")

    @property
    def total_cents(self) -> int:
        """What came in: sales and donations, refunds deducted."""
        return self.sales_cents + self.donations_cents

    @property
    def payments(self) -> dict[str, int]:
        """The net amount by means of payment."""
        return {"cash": self.cash_cents, "card": self.card_cents, "check": self.check_cents}

    @property
    def theoretical_cash_cents(self) -> int:
        """What the drawer should hold: the float and the cash payments, and nothing else."""
        return self.opening_float_cents + self.cash_cents

    @property
    def variance_cents(self) -> int | None:
        """Counted minus theoretical; None until it is counted."""
        return None if self.counted_cash_cents is None else self.counted_cash_cents - self.theoretical_cash_cents


class Ticket(Table):
    """One sale, one donation, or one refund (whose quantities and amounts are negative). Never changed afterwards."""

    __tablename__ = "caisse_ticket"
    __table_args__ = (
        Index("uq_caisse_ticket_number", "session_id", "number", unique=True),
        Index("uq_caisse_ticket_client", "client_id", unique=True),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    session_id: Mapped[str] = mapped_column(ForeignKey("caisse_session.id"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10))
    refund_of: Mapped[str | None] = mapped_column(ForeignKey("caisse_ticket.id"), index=True)
    client_id: Mapped[str | None]
    client_digest: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    operator: Mapped[str]
    sales_cents: Mapped[int]
    donation_cents: Mapped[int]
    note: Mapped[str] = mapped_column(default="")
    source_file: Mapped[str | None]
    source_line: Mapped[int | None]

    lines: Mapped[list[TicketLine]] = relationship(lazy="selectin", order_by="TicketLine.position")
    payments: Mapped[list[Payment]] = relationship(lazy="selectin", order_by="Payment.position")

    @property
    def total_cents(self) -> int:
        """What was paid: the lines and the donation."""
        return self.sales_cents + self.donation_cents


class TicketLine(Table):
    """One line of a ticket. `weight_grams` and `total_cents` are the whole line's; weight never makes the price."""

    __tablename__ = "caisse_ticket_line"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("caisse_ticket.id"), index=True)
    position: Mapped[int]
    category_id: Mapped[str | None] = mapped_column(ForeignKey("caisse_category.id"))
    label: Mapped[str]
    quantity: Mapped[int]
    weight_grams: Mapped[int | None]
    unit_price_cents: Mapped[int]
    total_cents: Mapped[int]
    warning: Mapped[str | None] = mapped_column(String(30))
    refund_of: Mapped[str | None] = mapped_column(ForeignKey("caisse_ticket_line.id"), index=True)

    category: Mapped[Category | None] = relationship(lazy="joined")


class Payment(Table):
    """One payment of a ticket; `tendered_cents` is what the customer handed over in cash, where it was noted."""

    __tablename__ = "caisse_payment"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("caisse_ticket.id"), index=True)
    position: Mapped[int]
    method: Mapped[str] = mapped_column(String(10))
    amount_cents: Mapped[int]
    tendered_cents: Mapped[int | None]


class Category(Table):
    """A node of the category tree. Its name is unique under its parent, however it is capitalised."""

    __tablename__ = "caisse_category"
    __table_args__ = (
        Index("uq_caisse_category_child", "parent_id", "name_key", unique=True),
        Index("uq_caisse_category_root", "name_key", unique=True, sqlite_where=text("parent_id IS NULL"),
              postgresql_where=text("parent_id IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("caisse_category.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    min_price_cents: Mapped[int | None]
    max_price_cents: Mapped[int | None]
    position: Mapped[int]


class NotebookImport(Table):
    """One notebook file that was imported, known by the hash of its content.

    `notebook_total_…` is what the notebook itself adds up to, `total_…` what its lines add up to as they were read.
    """

    __tablename__ = "caisse_import"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    filename: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    imported_at: Mapped[datetime]
    operator: Mapped[str]
    notebook_total_cents: Mapped[int | None]
    notebook_total_grams: Mapped[int | None]
    total_cents: Mapped[int]
    total_grams: Mapped[int]
    notices: Mapped[list[dict[str, Any]]] = mapped_column(JSON)

    lines: Mapped[list[NotebookEntry]] = relationship(lazy="selectin", order_by="NotebookEntry.line")


class NotebookEntry(Table):
    """One line of an imported notebook: as it stood (`raw`), as it was read, and what became of it."""

    __tablename__ = "caisse_import_line"
    __table_args__ = (Index("uq_caisse_import_line", "import_id", "line", unique=True),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    import_id: Mapped[str] = mapped_column(ForeignKey("caisse_import.id"))
    line: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    status: Mapped[str] = mapped_column(String(10))
    reasons: Mapped[list[str]] = mapped_column(JSON)
    notices: Mapped[list[str]] = mapped_column(JSON)
    raw: Mapped[list[str]] = mapped_column(JSON)
    day: Mapped[date | None]
    kind: Mapped[str | None] = mapped_column(String(10))
    category: Mapped[str]
    label: Mapped[str]
    weight_grams: Mapped[int | None]
    price_cents: Mapped[int | None]
    method: Mapped[str | None] = mapped_column(String(10))
    notes: Mapped[str]
    ticket_id: Mapped[str | None] = mapped_column(ForeignKey("caisse_ticket.id"))
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str] = mapped_column(default="")

    ticket: Mapped[Ticket | None] = relationship(lazy="raise")
