"""The HTTP API of paheko: how far each session has come, and the button that asks for it again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from sqlalchemy import func, select

from recyclic.core.database import UnitOfWork, Uow
from recyclic.core.events.bus import EventBus
from recyclic.modules.paheko.entries import reference_of
from recyclic.modules.paheko.models import EntryRow, MemberRow, Outgoing, State, utc
from recyclic.modules.paheko.settings import PahekoSettings

SessionId = Annotated[str, Path(min_length=1, max_length=180)]


class EntryState(BaseModel):
    """How far one session has come. `state` is `unknown` until its close has been heard of."""

    session_id: str
    reference: str
    state: str
    transaction_id: int | None = None
    url: str | None = None
    amount_cents: int | None = None
    attempts: int = 0
    last_error: str | None = None
    updated_at: datetime | None = None


class Status(BaseModel):
    """Whether there is a Paheko to write to, and what waits for it."""

    configured: bool
    url: str | None
    entries: dict[str, int]
    members: dict[str, int]
    last_error: str | None
    waiting_since: datetime | None


def paheko_routes(bus: Callable[[], EventBus], settings: Callable[[], PahekoSettings]) -> APIRouter:
    """Return the module's routes. Bus and settings are asked for at each request: they come after the routes."""
    router = APIRouter(prefix="/api/modules/paheko", tags=["paheko"])

    def shown(row: EntryRow) -> EntryState:
        return EntryState(
            session_id=row.key,
            reference=row.reference,
            state=row.state,
            transaction_id=row.remote_id,
            url=settings().transaction_page(row.remote_id) if row.remote_id is not None else None,
            amount_cents=row.amount_cents,
            attempts=row.attempts,
            last_error=row.last_error,
            updated_at=utc(row.updated_at),
        )

    @router.get("/sessions/{session_id}")
    async def session_state(session_id: SessionId, uow: Uow) -> EntryState:
        """Tell how far a session has come."""
        row = await uow.session.get(EntryRow, session_id)
        if row is None:
            return EntryState(session_id=session_id, reference=reference_of(session_id), state="unknown")
        return shown(row)

    @router.post("/sessions/{session_id}/sync", status_code=202)
    async def sync_session(session_id: SessionId, uow: Uow) -> EntryState:
        """Ask that a session be sent now, also if it was set aside. Answers with its state before."""
        await bus().within(uow).emit("sync_requested", session_id=session_id)
        return await session_state(session_id, uow)

    @router.get("/entries")
    async def entries(
        uow: Uow, state: State | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 200
    ) -> list[EntryState]:
        """List what was closed, the latest first."""
        query = select(EntryRow).order_by(EntryRow.created_at.desc(), EntryRow.key.desc()).limit(limit)
        if state is not None:
            query = query.where(EntryRow.state == state)
        return [shown(row) for row in await uow.session.scalars(query)]

    @router.get("/status")
    async def status(uow: Uow) -> Status:
        """Tell whether there is a Paheko, and what waits for it."""
        stuck = EntryRow.state != State.WRITTEN
        error = select(EntryRow.last_error).where(stuck, EntryRow.last_error.is_not(None))
        since = await uow.session.scalar(select(func.min(EntryRow.created_at)).where(stuck))
        return Status(
            configured=settings().configured,
            url=settings().url or None,
            entries=await _counts(uow, EntryRow),
            members=await _counts(uow, MemberRow),
            last_error=await uow.session.scalar(error.order_by(EntryRow.updated_at.desc()).limit(1)),
            waiting_since=utc(since) if since is not None else None,
        )

    return router


async def _counts(uow: UnitOfWork, table: type[Outgoing]) -> dict[str, int]:
    found: Any = await uow.session.execute(select(table.state, func.count()).group_by(table.state))
    counts = {str(state): int(number) for state, number in found}
    return {state.value: counts.get(state.value, 0) for state in State}
