"""Sessions: open, look, sell, close."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response

from recyclic.core.database import Uow
from recyclic.core.permissions import CurrentUser
from recyclic.modules.caisse.drafts import Count, NewSession, NewTicket
from recyclic.modules.caisse.routes.parameters import Before, CurrentTill, Limit, PathId
from recyclic.modules.caisse.sessions import close_session, find_session, list_sessions, open_session
from recyclic.modules.caisse.tickets import list_tickets, sell
from recyclic.modules.caisse.views import SessionPage, SessionView, TicketPage, TicketView

router = APIRouter(prefix="/sessions")


@router.post("", status_code=201)
async def open_register(draft: NewSession, uow: Uow, till: CurrentTill, user: CurrentUser) -> SessionView:
    """Open a register with its float; 409 `session_already_open` where it is open."""
    session = await open_session(
        uow.session,
        till,
        register_id=draft.register_id,
        opening_float_cents=draft.opening_float_cents,
        operator=user.name,
    )
    return SessionView.of(session)


@router.get("")
async def history(
    uow: Uow, status: Literal["open", "closed"] | None = None, limit: Limit = 50, before: Before = None
) -> SessionPage:
    """Return sessions, the one opened last first."""
    found = await list_sessions(uow.session, status=status, limit=limit + 1, before=before)
    items = [SessionView.of(session) for session in found[:limit]]
    return SessionPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/{session_id}")
async def show(session_id: PathId, uow: Uow) -> SessionView:
    """Return one session."""
    return SessionView.of(await find_session(uow.session, session_id))


@router.post("/{session_id}/close")
async def close(session_id: PathId, draft: Count, uow: Uow, till: CurrentTill) -> SessionView:
    """Close a session with its count; `sale_closed` goes out with the same transaction."""
    return SessionView.of(await close_session(uow, till, session_id, draft))


@router.post("/{session_id}/tickets", status_code=201)
async def add_ticket(
    session_id: PathId, draft: NewTicket, uow: Uow, till: CurrentTill, user: CurrentUser, response: Response
) -> TicketView:
    """Record a ticket: 201, or 200 with the first one when its `client_id` was sent before."""
    ticket, new = await sell(uow.session, till, session_id, draft, user.name)
    if not new:
        response.status_code = 200
    return TicketView.of(ticket)


@router.get("/{session_id}/tickets")
async def tickets(session_id: PathId, uow: Uow) -> TicketPage:
    """Return every ticket of a session, the latest first."""
    await find_session(uow.session, session_id)
    found = await list_tickets(uow.session, session_id=session_id)
    return TicketPage(items=[TicketView.of(ticket) for ticket in found], next=None)
