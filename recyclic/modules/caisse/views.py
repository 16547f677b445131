"""What the till's API answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Day  # noqa: N812  a field is named date
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from recyclic.modules.caisse.models import (
    CashSession,
    Category,
    NotebookEntry,
    NotebookImport,
    Payment,
    Register,
    Ticket,
    TicketLine,
)


class OpenSessionView(BaseModel):
    """The session that a register is open in."""

    id: str
    operator: str
    opened_at: datetime


class RegisterView(BaseModel):
    """A register, and its open session."""

    id: str
    name: str
    open_session: OpenSessionView | None = None

    @classmethod
    def of(cls, register: Register, session: CashSession | None = None) -> RegisterView:
        """Build it from the stored rows."""
        opened = (
            OpenSessionView(id=session.id, operator=session.operator, opened_at=session.opened_at) if session else None
        )
        return cls(id=register.id, name=register.name, open_session=opened)


class CategoryView(BaseModel):
    """A node of the category tree."""

    id: str
    name: str
    parent_id: str | None
    min_price_cents: int | None
    max_price_cents: int | None
    position: int

    @classmethod
    def of(cls, category: Category) -> CategoryView:
        """Build it from the stored row."""
        return cls.model_validate(category, from_attributes=True)


class CategoryLineView(BaseModel):
    """What was done with one line of the categories' sheet."""

    line: int
    status: Literal["created", "updated", "unchanged", "refused"]
    root: str
    name: str
    min_price_cents: int | None
    max_price_cents: int | None
    reasons: list[str]


class CategoryReport(BaseModel):
    """What was done with the categories' sheet."""

    rows: int
    created: int
    updated: int
    unchanged: int
    refused: int
    lines: list[CategoryLineView]


class NamedView(BaseModel):
    """Something that another thing refers to: its id and its name."""

    id: str
    name: str


class SessionView(BaseModel):
    """A session with its totals; the count is null while it is open."""

    id: str
    register_: Annotated[NamedView, Field(alias="register")]  # BaseModel has a `register` of its own
    operator: str
    status: Literal["open", "closed"]
    deferred: bool
    business_date: Day
    opened_at: datetime
    closed_at: datetime | None
    opening_float_cents: int
    ticket_count: int
    sales_cents: int
    donations_cents: int
    total_cents: int
    payments: dict[str, int]
    theoretical_cash_cents: int
    counted_cash_cents: int | None
    variance_cents: int | None
    variance_comment: str

    @classmethod
    def of(cls, session: CashSession) -> SessionView:
        """Build it from the stored row."""
        register = {"id": session.register_id, "name": session.register.name}
        names = cls.model_fields.keys() - {"register_"}
        return cls.model_validate({"register": register, **{name: getattr(session, name) for name in names}})


class SessionPage(BaseModel):
    """Some sessions, and where the list goes on."""

    items: list[SessionView]
    next: str | None


class TicketLineView(BaseModel):
    """A line of a ticket; in a refund quantity, weight and total are negative."""

    id: str
    category: NamedView | None
    label: str
    quantity: int
    weight_grams: int | None
    unit_price_cents: int
    total_cents: int
    warning: Literal["above_maximum", "below_minimum"] | None

    @classmethod
    def of(cls, line: TicketLine) -> TicketLineView:
        """Build it from the stored row."""
        category = {"id": line.category.id, "name": line.category.name} if line.category else None
        names = cls.model_fields.keys() - {"category"}
        return cls.model_validate({"category": category, **{name: getattr(line, name) for name in names}})


class PaymentView(BaseModel):
    """A payment of a ticket."""

    method: Literal["cash", "card", "check", "free"]
    amount_cents: int
    tendered_cents: int | None

    @classmethod
    def of(cls, payment: Payment) -> PaymentView:
        """Build it from the stored row."""
        return cls.model_validate(payment, from_attributes=True)


class SourceView(BaseModel):
    """The notebook line that a ticket was booked from."""

    file: str
    line: int


class TicketView(BaseModel):
    """A ticket."""

    id: str
    number: int
    session_id: str
    kind: Literal["sale", "refund", "donation"]
    refund_of: str | None
    created_at: datetime
    operator: str
    lines: list[TicketLineView]
    payments: list[PaymentView]
    donation_cents: int
    sales_cents: int
    total_cents: int
    note: str
    source: SourceView | None

    @classmethod
    def of(cls, ticket: Ticket) -> TicketView:
        """Build it from the stored rows."""
        source = None
        if ticket.source_file is not None:
            source = {"file": ticket.source_file, "line": ticket.source_line}
        names = cls.model_fields.keys() - {"source", "lines", "payments"}
        return cls.model_validate(
            {
                **{name: getattr(ticket, name) for name in names},
                "source": source,
                "lines": [TicketLineView.of(line) for line in ticket.lines],
                "payments": [PaymentView.of(payment) for payment in ticket.payments],
            }
        )


class TicketPage(BaseModel):
    """Some tickets, and where the list goes on."""

    items: list[TicketView]
    next: str | None


class ImportLineView(BaseModel):
    """A line of a notebook: what stands there, what it was read as, what became of it and why."""

    line: int
    status: Literal["booked", "held", "discarded"]
    reasons: list[str]
    notices: list[str]
    date: Day | None
    kind: Literal["sale", "donation", "gift"] | None
    category: str
    label: str
    weight_grams: int | None
    price_cents: int | None
    method: Literal["cash", "card", "check", "free"] | None
    notes: str
    raw: list[str]
    ticket_id: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str

    @classmethod
    def of(cls, entry: NotebookEntry) -> ImportLineView:
        """Build it from the stored row."""
        names = cls.model_fields.keys() - {"date"}
        return cls.model_validate({"date": entry.day, **{name: getattr(entry, name) for name in names}})


class ImportSummary(BaseModel):
    """An import by its figures."""

    id: str
    filename: str
    sha256: str
    imported_at: datetime
    operator: str
    rows: int
    booked: int
    held: int
    discarded: int
    notebook_total_cents: int | None
    notebook_total_grams: int | None
    total_cents: int
    total_grams: int
    booked_cents: int
    held_cents: int
    discarded_cents: int
    differences: list[dict[str, Any]]
    notices: list[dict[str, Any]]

    @classmethod
    def of(cls, imported: NotebookImport) -> ImportSummary:
        """Build it from the stored rows."""
        return cls.model_validate(_figures(imported))


class ImportReport(ImportSummary):
    """An import with its sessions and every line."""

    sessions: list[SessionView]
    lines: list[ImportLineView]

    @classmethod
    def with_sessions(cls, imported: NotebookImport, sessions: Sequence[CashSession]) -> ImportReport:
        """Build it from the stored rows."""
        return cls.model_validate(
            {
                **_figures(imported),
                "sessions": [SessionView.of(session) for session in sessions],
                "lines": [ImportLineView.of(entry) for entry in imported.lines],
            }
        )


def _figures(imported: NotebookImport) -> dict[str, Any]:
    totals = ("notebook_total_cents", "notebook_total_grams", "total_cents", "total_grams")
    stored = ("id", "filename", "sha256", "imported_at", "operator", "notices", *totals)
    figures: dict[str, Any] = {name: getattr(imported, name) for name in stored}
    figures["rows"] = len(imported.lines)
    for status in ("booked", "held", "discarded"):
        entries = [entry for entry in imported.lines if entry.status == status]
        figures[status] = len(entries)
        figures[f"{status}_cents"] = sum(entry.price_cents or 0 for entry in entries)
    figures["differences"] = [
        {"what": what, "notebook": noted, "computed": figures[what], "difference": figures[what] - noted}
        for what in ("total_cents", "total_grams")
        if (noted := figures[f"notebook_{what}"]) is not None and noted != figures[what]
    ]
    return figures
