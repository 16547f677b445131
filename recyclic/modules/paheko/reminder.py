"""Reminder: asks again for what does not stand in Paheko yet, at the start and from time to time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import structlog
from sqlalchemy import select

from recyclic.core.clock import Clock
from recyclic.core.database import Database
from recyclic.core.events.bus import EventBus
from recyclic.core.events.event import Event
from recyclic.modules.paheko.events import MemberSyncRequested, SyncRequested
from recyclic.modules.paheko.models import EntryRow, MemberRow, Outgoing, State

log = structlog.get_logger(__name__)


class Reminder:
    """Emits `sync_requested` and `member_sync_requested` for what waits or is in doubt; never for what is quarantined.

    The bus's own retries span seconds, an outage of Paheko may last for days. What was asked for is marked as touched
    in the same transaction, so that of several workers one asks.
    """

    def __init__(self, *, database: Database, bus: EventBus, clock: Clock, seconds: float) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._seconds = seconds
        self._task: asyncio.Task[NoReturn] | None = None

    async def start(self) -> None:
        """Ask for everything once, then again for what nobody has touched for a while."""
        await self.ask(untouched_for=0)
        self._task = asyncio.create_task(self._run(), name="paheko-reminder")

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def ask(self, *, untouched_for: float) -> None:
        """Ask for what has stood still for so many seconds."""
        async with self._database.unit_of_work() as uow:
            now = datetime.fromtimestamp(self._clock.now(), UTC)
            emit = self._bus.within(uow).emit
            for table in (EntryRow, MemberRow):
                still = table.updated_at <= now - timedelta(seconds=untouched_for)
                waiting = select(table).where(table.state.in_((State.WAITING, State.WRITING)), still)
                for row in await uow.session.scalars(waiting.with_for_update(skip_locked=True)):
                    row.updated_at = now
                    await emit(_request_for(row))

    async def _run(self) -> NoReturn:
        while True:
            await self._clock.wait(self._seconds)
            try:
                await self.ask(untouched_for=self._seconds)
            except Exception:
                log.exception("could not ask for what waits; the next time is not far")


def _request_for(row: Outgoing) -> Event:
    return SyncRequested(session_id=row.key) if isinstance(row, EntryRow) else MemberSyncRequested(member_id=row.key)
