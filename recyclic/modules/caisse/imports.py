"""Imports: what becomes of a notebook's lines: booked, held until someone decides, or discarded with a reason."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from recyclic.core.database import UnitOfWork
from recyclic.core.http import ApiError
from recyclic.modules.caisse.drafts import Count, Decision, NewLine, NewPayment, NewTicket
from recyclic.modules.caisse.models import CashSession, Category, NotebookEntry, NotebookImport
from recyclic.modules.caisse.notebook import LONGEST, Notebook, NotebookLine, day_doubts, doubts, kind_of, read_notebook
from recyclic.modules.caisse.sessions import close_session, deferred_session
from recyclic.modules.caisse.sheet import SheetError
from recyclic.modules.caisse.tickets import record
from recyclic.modules.caisse.till import Till


@dataclass(frozen=True)
class NotebookFile:
    """A notebook that was read, and the hash by which its file is known again."""

    filename: str
    sha256: str
    notebook: Notebook


async def read_file(till: Till, content: bytes, filename: str) -> NotebookFile:
    """Read a notebook's file, beside the event loop and before any transaction: nobody at a till waits for it.

    Raises:
        ApiError: 422 when it is no notebook (`not_a_csv`, `columns_missing`, `too_many_lines`).
    """
    try:
        notebook = await asyncio.to_thread(read_notebook, content, today=till.today())
    except SheetError as error:
        raise ApiError(422, error.code, str(error), error.fields) from error
    return NotebookFile(filename, hashlib.sha256(content).hexdigest(), notebook)


async def import_notebook(db: AsyncSession, till: Till, file: NotebookFile, operator: str) -> NotebookImport:
    """Book every line of a notebook that leaves no doubt about money and day, and hold the others.

    A line that another import brought already is held too, so that a corrected copy of a file books nothing twice.

    Raises:
        ApiError: 409 `already_imported` with the import's id in the details.
    """
    notebook = file.notebook
    imported = NotebookImport(
        filename=file.filename,
        sha256=file.sha256,
        imported_at=till.now(),
        operator=operator,
        notebook_total_cents=notebook.total_cents,
        notebook_total_grams=notebook.total_grams,
        total_cents=sum(line.price_cents or 0 for line in notebook.lines),
        total_grams=sum(line.weight_grams or 0 for line in notebook.lines),
        notices=list(notebook.notices),
        lines=[],
    )
    try:
        async with db.begin_nested():
            db.add(imported)
    except IntegrityError as error:
        known = await db.scalar(select(NotebookImport.id).where(NotebookImport.sha256 == file.sha256))
        if known is None:
            raise
        text = f"This file was imported before, as {known}; its held lines are decided there."
        raise ApiError(409, "already_imported", text, details={"import_id": known}) from error
    elsewhere = await _known_lines(db, notebook.lines)
    booking = Booking(db, till, imported, operator)
    for line in notebook.lines:
        entry = _entry(line)
        if line.fingerprint in elsewhere:
            entry.reasons = [*line.reasons, "in_another_import"]
        if not entry.reasons:
            await booking.book(entry)
        imported.lines.append(entry)
    await db.flush()
    return imported


async def find_import(db: AsyncSession, import_id: str) -> NotebookImport:
    """Return an import with its lines.

    Raises:
        ApiError: 404 `import_unknown`.
    """
    found = await db.get(NotebookImport, import_id)
    if found is None:
        raise ApiError(404, "import_unknown", f"There is no import {import_id!r}.")
    return found


async def all_imports(db: AsyncSession) -> list[NotebookImport]:
    """Return the imports, the latest first."""
    return list(await db.scalars(select(NotebookImport).order_by(NotebookImport.id.desc())))


async def sessions_of(db: AsyncSession, import_id: str) -> list[CashSession]:
    """Return the sessions that an import opened, by day."""
    query = select(CashSession).where(CashSession.import_id == import_id)
    return list(await db.scalars(query.order_by(CashSession.business_date, CashSession.id)))


async def decide(
    db: AsyncSession, till: Till, import_id: str, number: int, decision: Decision, operator: str
) -> NotebookImport:
    """Book or discard one line that is held (or book one that was discarded), and keep who decided, when and why.

    Raises:
        ApiError: 404 `import_unknown` or `line_unknown`, 409 `line_booked` or `line_discarded`, 422
            `decision_incomplete` naming what is still missing or contradicts itself.
    """
    imported = await find_import(db, import_id)
    query = select(NotebookEntry).where(NotebookEntry.import_id == import_id, NotebookEntry.line == number)
    entry = await db.scalar(query.with_for_update().execution_options(populate_existing=True))
    if entry is None:
        raise ApiError(404, "line_unknown", f"The import has no line {number}.")
    if entry.status == "booked" or (entry.status == "discarded" and decision.decision == "discard"):
        raise ApiError(409, f"line_{entry.status}", f"Line {number} is {entry.status} already.")
    entry.decided_by, entry.decided_at, entry.decision_reason = operator, till.now(), decision.reason
    if decision.decision == "discard":
        entry.status = "discarded"
    else:
        _complete(entry, decision, till.today())
        await Booking(db, till, imported, operator).book(entry)
    await db.flush()
    return imported


async def close_import(uow: UnitOfWork, till: Till, import_id: str) -> NotebookImport:
    """Close the import's open sessions, each counted as what its tickets make; each publishes its `sale_closed`.

    Lines that are still held do not hinder it: decided later, they open a new session of their day.
    """
    imported = await find_import(uow.session, import_id)
    for session in await sessions_of(uow.session, import_id):
        if session.status == "open":
            await close_session(uow, till, session.id, Count(counted_cash_cents=session.theoretical_cash_cents))
    return imported


async def _known_lines(db: AsyncSession, lines: tuple[NotebookLine, ...]) -> set[str]:
    """Return the fingerprints of lines that an earlier import brought and nobody discarded."""
    wanted = [line.fingerprint for line in lines]
    known: set[str] = set()
    for start in range(0, len(wanted), 500):  # databases bind only so many values at once
        known.update(
            await db.scalars(
                select(NotebookEntry.fingerprint).where(
                    NotebookEntry.fingerprint.in_(wanted[start : start + 500]), NotebookEntry.status != "discarded"
                )
            )
        )
    return known


def _entry(line: NotebookLine) -> NotebookEntry:
    return NotebookEntry(
        line=line.line,
        fingerprint=line.fingerprint,
        status="held",
        reasons=list(line.reasons),
        notices=list(line.notices),
        raw=list(line.raw),
        day=line.day,
        kind=line.kind,
        category=line.category,
        label=line.label,
        weight_grams=line.weight_grams,
        price_cents=line.price_cents,
        method=line.method,
        notes=line.notes,
        decision_reason="",
    )


def _complete(entry: NotebookEntry, decision: Decision, today: date) -> None:
    """Put what was decided in the place of what was read; refuse while the line still leaves a doubt."""
    entry.day = decision.date or entry.day
    kind = decision.kind or entry.kind
    entry.price_cents = entry.price_cents if decision.price_cents is None else decision.price_cents
    entry.weight_grams = entry.weight_grams if decision.weight_grams is None else decision.weight_grams
    entry.category = entry.category if decision.category is None else decision.category
    entry.label = entry.label if decision.label is None else decision.label
    entry.method = decision.method or entry.method
    entry.kind = kind_of("donation" if kind == "gift" else kind, entry.price_cents)
    reasons = [*day_doubts(entry.day, today), *doubts(entry.kind, entry.price_cents, entry.method)]
    reasons += [f"{name}_too_long" for name in ("category", "label") if len(getattr(entry, name)) > LONGEST[name]]
    if reasons:
        fields = [(reason.partition("_")[0], reason) for reason in reasons]
        text = f"Line {entry.line} cannot be booked yet: {', '.join(reasons)}."
        raise ApiError(422, "decision_incomplete", text, fields)


@dataclass(frozen=True)
class Booking:
    """Books lines of one import, each as a ticket of its day's session; a session and a category is looked up once."""

    db: AsyncSession
    till: Till
    imported: NotebookImport
    operator: str
    sessions: dict[date, CashSession] = field(default_factory=dict)
    categories: dict[str, Category] = field(default_factory=dict)

    async def book(self, entry: NotebookEntry) -> None:
        """Book a line that leaves no doubt."""
        assert entry.day is not None
        assert entry.price_cents is not None
        if entry.day not in self.sessions:
            self.sessions[entry.day] = await deferred_session(
                self.db, self.till, import_id=self.imported.id, day=entry.day, operator=self.operator
            )
        ticket = await record(
            self.db,
            self.till,
            self.sessions[entry.day],
            _draft(entry, entry.price_cents),
            self.operator,
            source=(self.imported.filename, entry.line),
            known=self.categories,
        )
        entry.ticket = ticket
        entry.status = "booked"


def _draft(entry: NotebookEntry, price_cents: int) -> NewTicket:
    """Return the ticket of a line: a sale at its price, a gift at 0, a donation with what was given beside it."""
    donation = price_cents if entry.kind == "donation" else 0
    line = NewLine(
        category_name=entry.category or None,
        label=entry.label or entry.category or "?",
        weight_grams=entry.weight_grams,
        unit_price_cents=price_cents - donation,
    )
    payment = NewPayment(method=entry.method if price_cents and entry.method else "free", amount_cents=price_cents)
    return NewTicket(lines=[line], payments=[payment], donation_cents=donation, note=entry.notes[: LONGEST["notes"]])
