"""paheko: books every closed till session in Paheko, once."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import MetaData, select

from recyclic.core.database import Database, UnitOfWork
from recyclic.core.events.bus import EventBus
from recyclic.core.events.event import EventMeta
from recyclic.core.module_base import ModuleBase
from recyclic.modules.paheko.client import PahekoClient
from recyclic.modules.paheko.entries import ClosedSession, amount_of, build_entry, reference_of
from recyclic.modules.paheko.errors import PahekoUnavailableError
from recyclic.modules.paheko.events import EntryWritten, MemberSyncRequested, SyncRequested
from recyclic.modules.paheko.members import NewMember, add_member, find_member
from recyclic.modules.paheko.models import EntryRow, MemberRow, metadata
from recyclic.modules.paheko.reminder import Reminder
from recyclic.modules.paheko.routes import paheko_routes
from recyclic.modules.paheko.settings import PahekoSettings
from recyclic.modules.paheko.writer import Parcel, Writer
from recyclic.modules.paheko.writer_lock import WriterLock

ATTEMPTS = 5
"""How often the bus brings an event before it is left to the reminder."""

log = structlog.get_logger(__name__)


class PahekoModule(ModuleBase):
    """Keeps what the till and the members tell, and sends it to Paheko when there is one."""

    emits = (EntryWritten, SyncRequested, MemberSyncRequested)
    settings: ClassVar[type[BaseModel] | None] = PahekoSettings
    metadata: ClassVar[MetaData | None] = metadata

    bus: EventBus
    database: Database
    entries: Writer[EntryRow]
    members: Writer[MemberRow]

    def __init__(self) -> None:
        self.config = PahekoSettings()
        self.client: PahekoClient | None = None
        self.reminder: Reminder | None = None

    def register_routes(self, app: FastAPI) -> None:
        """Serve the state of the synchronisation."""
        app.include_router(paheko_routes(bus=lambda: self.bus, settings=lambda: self.config))

    def register_signals(self, bus: EventBus) -> None:
        """Hear what there is to send, and when to send it again."""
        self.bus = bus
        bus.on("sale_closed", self.book_session, max_attempts=ATTEMPTS)
        bus.on("sync_requested", self.sync_session, max_attempts=ATTEMPTS)
        bus.on("member_created", self.add_member, max_attempts=ATTEMPTS)
        bus.on("member_sync_requested", self.sync_member, max_attempts=ATTEMPTS)

    def register_ui_extensions(self) -> dict[str, list[str]]:
        """Show a sale's session in the accounts."""
        return {"sale_details": ["SaleDetailsPanel"]}

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Get ready to write. Needs no network: Paheko may be away, or not be configured at all."""
        self.config = PahekoSettings.model_validate(config)
        self.database = app.state.database
        shared: dict[str, Any] = {
            "database": self.database,
            "lock": WriterLock(self.database),
            "clock": app.state.clock,
            "busy_seconds": self.config.busy_seconds,
        }
        self.entries = Writer(EntryRow, pack=self._pack_entry, delivered=self._entry_written, **shared)
        self.members = Writer(MemberRow, pack=self._pack_member, delivered=_nothing_more, **shared)
        if not self.config.configured:
            log.warning("paheko has no url: closed sessions are kept and wait", setting="[modules.paheko] url")
            return
        self.client = PahekoClient(self.config)
        self.reminder = Reminder(
            database=self.database, bus=self.bus, clock=app.state.clock, seconds=self.config.retry_seconds
        )
        await self.reminder.start()

    async def shutdown(self) -> None:
        """Ask no more, and close the connection to Paheko."""
        if self.reminder is not None:
            await self.reminder.stop()
            self.reminder = None
        if self.client is not None:
            await self.client.close()
            self.client = None

    async def book_session(  # noqa: PLR0913 - the signature is the contract: what an entry needs of `sale_closed`
        self,
        *,
        session_id: str,
        business_date: date,
        register_name: str,
        operator: str,
        ticket_count: int,
        sales_cents: int,
        donations_cents: int,
        payments: dict[str, int],
        opening_float_cents: int,
        counted_cash_cents: int,
        variance_cents: int,
        variance_comment: str,
        meta: EventMeta,
        **_rest: object,
    ) -> None:
        """Book a closed session. Called again for the same one, it does nothing more."""
        session = ClosedSession(
            session_id=session_id,
            business_date=business_date,
            register_name=register_name,
            operator=operator,
            ticket_count=ticket_count,
            sales_cents=sales_cents,
            donations_cents=donations_cents,
            payments=payments,
            opening_float_cents=opening_float_cents,
            counted_cash_cents=counted_cash_cents,
            variance_cents=variance_cents,
            variance_comment=variance_comment,
        )
        await self.entries.accept(
            session_id,
            reference=reference_of(session_id),
            amount_cents=amount_of(session, self.config),
            payload=session.model_dump(mode="json"),
        )
        await self._send(self.entries, session_id, meta)

    async def sync_session(self, session_id: str, meta: EventMeta, **_rest: object) -> None:
        """Send a session that waits or was set aside. One that was never closed is booked when it is."""
        await self._send(self.entries, session_id, meta, insist=True)

    async def add_member(
        self,
        member_id: str,
        number: int,
        first_name: str,
        last_name: str,
        email: str | None,
        meta: EventMeta,
        **_rest: object,
    ) -> None:
        """Make a new member known to Paheko."""
        member = NewMember(member_id=member_id, number=number, first_name=first_name, last_name=last_name, email=email)
        await self.members.accept(member_id, payload=member.model_dump(mode="json"))
        await self._send(self.members, member_id, meta)

    async def sync_member(self, member_id: str, meta: EventMeta, **_rest: object) -> None:
        """Send a member that waits or was set aside."""
        await self._send(self.members, member_id, meta, insist=True)

    async def _send(
        self, writer: Writer[EntryRow] | Writer[MemberRow], key: str, meta: EventMeta, *, insist: bool = False
    ) -> None:
        """Send one thing if there is a Paheko. An outage that outlasts the bus's attempts is left to the reminder."""
        if self.client is None:
            return
        try:
            await writer.write(key, insist=insist)
        except PahekoUnavailableError as error:
            if meta.attempt < ATTEMPTS:
                raise
            log.warning("Paheko is still away: asking again later", key=key, reason=str(error))

    @property
    def _client(self) -> PahekoClient:
        assert self.client is not None, "asked only once there is a Paheko"
        return self.client

    async def _pack_entry(self, row: EntryRow) -> Parcel | None:
        entry = build_entry(ClosedSession.model_validate(row.payload), self.config)
        if entry is None:
            return None

        async def find() -> int | None:
            found = await self._client.find_transactions(entry.reference)
            if len(found) > 1:
                log.error("an entry stands more than once in Paheko", reference=entry.reference, transactions=found)
            return found[0] if found else None

        return Parcel(find=find, send=lambda: self._client.book(entry))

    async def _entry_written(self, uow: UnitOfWork, row: EntryRow) -> None:
        """Tell that a session is booked; the amount is unknown until now where the figures made no entry before."""
        if row.amount_cents is None:
            row.amount_cents = amount_of(ClosedSession.model_validate(row.payload), self.config)
        if row.remote_id is None:
            return
        written = EntryWritten(
            session_id=row.key,
            reference=row.reference,
            transaction_id=row.remote_id,
            amount_cents=row.amount_cents or 0,
        )
        await self.bus.within(uow).emit(written)

    async def _pack_member(self, row: MemberRow) -> Parcel:
        member = NewMember.model_validate(row.payload)
        async with self.database.unit_of_work(read_only=True) as uow:
            others = select(MemberRow.remote_id).where(MemberRow.key != row.key, MemberRow.remote_id.is_not(None))
            taken = {number for number in await uow.session.scalars(others) if number is not None}
        return Parcel(
            find=lambda: find_member(self._client, member, taken),
            send=lambda: add_member(self._client, member, self.config),
        )


async def _nothing_more(_uow: UnitOfWork, _row: MemberRow) -> None:
    """A member in Paheko is news to nobody."""


MODULE_CLASS = PahekoModule
