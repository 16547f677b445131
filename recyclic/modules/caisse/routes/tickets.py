"""Tickets: the history, one of them, and what comes back of it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from recyclic.core.database import Uow
from recyclic.core.permissions import CurrentUser
from recyclic.modules.caisse.drafts import NewRefund
from recyclic.modules.caisse.routes.parameters import Before, CurrentTill, Limit, PathId
from recyclic.modules.caisse.tickets import find_ticket, list_tickets, refund
from recyclic.modules.caisse.views import TicketPage, TicketView

router = APIRouter(prefix="/tickets")


@router.get("")
async def history(uow: Uow, limit: Limit = 50, before: Before = None) -> TicketPage:
    """Return the tickets of all sessions, the latest first."""
    found = await list_tickets(uow.session, limit=limit + 1, before=before)
    items = [TicketView.of(ticket) for ticket in found[:limit]]
    return TicketPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/{ticket_id}")
async def show(ticket_id: PathId, uow: Uow) -> TicketView:
    """Return one ticket."""
    return TicketView.of(await find_ticket(uow.session, ticket_id))


@router.post("/{ticket_id}/refund", status_code=201)
async def give_back(
    ticket_id: PathId, draft: NewRefund, uow: Uow, till: CurrentTill, user: CurrentUser, response: Response
) -> TicketView:
    """Record a refund in the open session that the body names."""
    ticket, new = await refund(uow.session, till, ticket_id, draft, user.name)
    if not new:
        response.status_code = 200
    return TicketView.of(ticket)
