"""Tickets: what was sold, given and taken back, and how it was paid."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from recyclic.core.http import ApiError
from recyclic.modules.caisse.categories import category_named, warning_for
from recyclic.modules.caisse.drafts import Draft, NewLine, NewRefund, NewTicket
from recyclic.modules.caisse.ids import new_id
from recyclic.modules.caisse.models import METHODS, CashSession, Category, Payment, Ticket, TicketLine
from recyclic.modules.caisse.sessions import find_session, require_open
from recyclic.modules.caisse.till import Till


async def sell(db: AsyncSession, till: Till, session_id: str, draft: NewTicket, operator: str) -> tuple[Ticket, bool]:
    """Record a ticket of a live session and return it, and whether it is new.

    A browser that heard no answer sends the same `client_id` again and gets the ticket it had, even after the close.

    Raises:
        ApiError: 404 `session_unknown`, 409 `session_closed`, `session_deferred` or `client_id_reused`, 422
            `ticket_empty`, `payments_do_not_match` or `category_unknown`.
    """
    session = await find_session(db, session_id, lock=True)
    digest = _digest(session_id, draft)
    if known := await _sent_before(db, draft.client_id, digest):
        return known, False
    _require_live(session)
    check_amounts(draft)
    return await record(db, till, session, draft, operator, digest=digest), True


def check_amounts(draft: NewTicket) -> None:
    """Raise ApiError 422 unless the ticket holds something and its payments make exactly its lines and donation."""
    if not draft.lines and not draft.donation_cents:
        raise ApiError(422, "ticket_empty", "A ticket needs a line or a donation.", [("lines", "none")])
    total = sum(line.quantity * line.unit_price_cents for line in draft.lines) + draft.donation_cents
    paid = sum(payment.amount_cents for payment in draft.payments)
    if any(payment.method == "free" and payment.amount_cents for payment in draft.payments) or paid != total:
        raise ApiError(
            422,
            "payments_do_not_match",
            f"The lines and the donation make {total} cents, the payments {paid}; free pays 0.",
            [("payments", f"must make {total} cents")],
            details={"total_cents": total, "paid_cents": paid},
        )


async def record(
    db: AsyncSession,
    till: Till,
    session: CashSession,
    draft: NewTicket,
    operator: str,
    *,
    digest: str | None = None,
    source: tuple[str, int] | None = None,
    known: dict[str, Category] | None = None,
) -> Ticket:
    """Add a checked ticket to `session`, which the caller has locked, and its amounts to the session's totals.

    Who records many keeps the categories that were looked up by name in `known`.
    """
    known = {} if known is None else known
    lines = [await _line(db, position, line, known) for position, line in enumerate(draft.lines)]
    sales = sum(line.total_cents for line in lines)
    ticket = Ticket(
        id=new_id(),
        kind="donation" if draft.donation_cents and not sales else "sale",
        client_id=draft.client_id,
        client_digest=digest if draft.client_id else None,
        operator=operator,
        sales_cents=sales,
        donation_cents=draft.donation_cents,
        note=draft.note,
        source_file=source[0] if source else None,
        source_line=source[1] if source else None,
        lines=lines,
        payments=[
            Payment(position=position, method=payment.method, amount_cents=payment.amount_cents,
                    tendered_cents=payment.tendered_cents)
            for position, payment in enumerate(draft.payments)
        ],
    )  # fmt: skip
    return await _add(db, till, session, ticket)


async def refund(db: AsyncSession, till: Till, ticket_id: str, draft: NewRefund, operator: str) -> tuple[Ticket, bool]:
    """Record what comes back of a ticket as an entry of its own in an open session, whatever session sold it.

    Raises:
        ApiError: 404 `ticket_unknown` or `session_unknown`, 409 `session_closed`, `session_deferred` or
            `client_id_reused`, 422 `not_refundable`, `line_unknown`, `refund_exceeds_sale`, `payments_do_not_match` or
            `not_enough_cash`.
    """
    session = await find_session(db, draft.session_id, lock=True)
    sold = await find_ticket(db, ticket_id, lock=True)
    digest = _digest(ticket_id, draft)
    if known := await _sent_before(db, draft.client_id, digest):
        return known, False
    _require_live(session)
    if sold.kind == "refund":
        raise ApiError(422, "not_refundable", "A refund cannot be refunded; sell the item again.")
    lines = await _returned_lines(db, sold, draft)
    total = sum(line.total_cents for line in lines)
    if (draft.method == "free") != (total == 0):
        text = f"{-total} cents go back; free is for lines without a price, and only for them."
        raise ApiError(422, "payments_do_not_match", text, [("method", draft.method)])
    if draft.method == "cash" and session.theoretical_cash_cents + total < 0:
        text = f"The drawer holds {session.theoretical_cash_cents} cents; {-total} cannot be paid out of it."
        raise ApiError(422, "not_enough_cash", text, [("method", "cash")])
    ticket = Ticket(
        id=new_id(),
        kind="refund",
        refund_of=sold.id,
        client_id=draft.client_id,
        client_digest=digest if draft.client_id else None,
        operator=operator,
        sales_cents=total,
        donation_cents=0,
        note=draft.reason,
        lines=lines,
        payments=[Payment(position=0, method=draft.method, amount_cents=total)],
    )
    return await _add(db, till, session, ticket), True


async def find_ticket(db: AsyncSession, ticket_id: str, *, lock: bool = False) -> Ticket:
    """Return a ticket; with `lock`, nobody else refunds it until the transaction ends.

    Raises:
        ApiError: 404 `ticket_unknown`.
    """
    query = select(Ticket).where(Ticket.id == ticket_id)
    ticket = await db.scalar(query.with_for_update(of=Ticket) if lock else query)
    if ticket is None:
        raise ApiError(404, "ticket_unknown", f"There is no ticket {ticket_id!r}.")
    return ticket


async def list_tickets(
    db: AsyncSession, *, session_id: str | None = None, limit: int | None = None, before: str | None = None
) -> list[Ticket]:
    """Return tickets, the latest first; `before` is the id after which the list goes on."""
    query = select(Ticket).order_by(Ticket.id.desc()).limit(limit)
    if session_id is not None:
        query = query.where(Ticket.session_id == session_id)
    if before is not None:
        query = query.where(Ticket.id < before)
    return list(await db.scalars(query))


async def _add(db: AsyncSession, till: Till, session: CashSession, ticket: Ticket) -> Ticket:
    session.ticket_count += 1
    session.sales_cents += ticket.sales_cents
    session.donations_cents += ticket.donation_cents
    for payment in ticket.payments:
        if payment.method in METHODS:
            column = f"{payment.method}_cents"
            setattr(session, column, getattr(session, column) + payment.amount_cents)
    ticket.session_id = session.id
    ticket.number = session.ticket_count
    ticket.created_at = till.now()
    client_id = ticket.client_id
    if client_id is None:
        db.add(ticket)
        return ticket
    try:
        async with db.begin_nested():
            db.add(ticket)
    except IntegrityError as error:  # it came for another session in the same moment
        raise _reused(client_id) from error
    return ticket


async def _line(db: AsyncSession, position: int, draft: NewLine, known: dict[str, Category]) -> TicketLine:
    category: Category | None = None
    if draft.category_id is not None:
        category = await db.get(Category, draft.category_id)
        if category is None:
            path = f"lines.{position}.category_id"
            raise ApiError(422, "category_unknown", f"There is no category {draft.category_id!r}.", [(path, "unknown")])
    elif draft.category_name:
        category = known.get(draft.category_name) or await category_named(db, draft.category_name)
        known[draft.category_name] = category
    return TicketLine(
        id=new_id(),
        position=position,
        category=category,
        label=draft.label,
        quantity=draft.quantity,
        weight_grams=draft.weight_grams,
        unit_price_cents=draft.unit_price_cents,
        total_cents=draft.quantity * draft.unit_price_cents,
        warning=warning_for(category, draft.unit_price_cents),
    )


async def _returned_lines(db: AsyncSession, sold: Ticket, draft: NewRefund) -> list[TicketLine]:
    wanted: Counter[str] = Counter()
    for back in draft.lines:
        wanted[back.line_id] += back.quantity
    lines = {line.id: line for line in sold.lines}
    query = select(TicketLine.refund_of, func.sum(TicketLine.quantity)).where(TicketLine.refund_of.in_(list(lines)))
    returned = {line_id: -int(total) for line_id, total in await db.execute(query.group_by(TicketLine.refund_of))}
    result = []
    for position, (line_id, quantity) in enumerate(wanted.items()):
        line = lines.get(line_id)
        if line is None:
            raise ApiError(422, "line_unknown", f"The ticket has no line {line_id!r}.", [("lines", line_id)])
        before = returned.get(line_id, 0)
        if before + quantity > line.quantity:
            text = f"{line.quantity} of {line.label!r} were sold and {before} came back already; {quantity} cannot."
            raise ApiError(422, "refund_exceeds_sale", text, [("lines", line_id)])
        result.append(
            TicketLine(
                id=new_id(),
                position=position,
                category=line.category,
                label=line.label,
                quantity=-quantity,
                weight_grams=_returned_weight(line, before, quantity),
                unit_price_cents=line.unit_price_cents,
                total_cents=-quantity * line.unit_price_cents,
                refund_of=line.id,
            )
        )
    return result


def _returned_weight(line: TicketLine, before: int, quantity: int) -> int | None:
    """Return the pieces' share of the line's weight; the shares of all pieces make the weight to the gram."""
    if line.weight_grams is None:
        return None
    return line.weight_grams * before // line.quantity - line.weight_grams * (before + quantity) // line.quantity


def _require_live(session: CashSession) -> None:
    require_open(session)
    if session.deferred:
        raise ApiError(409, "session_deferred", "A session of a notebook import takes only the notebook's lines.")


async def _sent_before(db: AsyncSession, client_id: str | None, digest: str) -> Ticket | None:
    if client_id is None:
        return None
    ticket = await db.scalar(select(Ticket).where(Ticket.client_id == client_id))
    if ticket is not None and ticket.client_digest != digest:
        raise _reused(client_id)
    return ticket


def _reused(client_id: str) -> ApiError:
    text = f"Another ticket was sent with the client_id {client_id!r}; every ticket needs one of its own."
    return ApiError(409, "client_id_reused", text, [("client_id", "reused")])


def _digest(where: str, draft: Draft) -> str:
    body: dict[str, Any] = draft.model_dump(mode="json")
    return hashlib.sha256(repr((where, sorted(body.items()))).encode()).hexdigest()
