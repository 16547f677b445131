"""The outbox's tables, and what the relay asks of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from recyclic.core.events.entries import as_number

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from recyclic.core.clock import Clock
    from recyclic.core.database import Database
    from recyclic.core.events.settings import BrokerSettings

metadata = MetaData()

host_outbox = Table(
    "host_outbox",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("event", String(200), nullable=False),
    Column("fields", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("sent_at", Float(53), nullable=True),
    Column("entry_id", String(41), nullable=True),
    Index("ix_host_outbox_unsent", "sent_at", "seq"),
    Index("ix_host_outbox_sent", "event", "entry_id"),
    sqlite_autoincrement=True,
)
"""Events to send, in `seq` order. `id` is the event's; times are seconds since the epoch of the host's clock.

`entry_id` is the stream entry that Redis confirmed, its numbers padded so that text compares as they do.
"""

host_outbox_lease = Table(
    "host_outbox_lease",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Float(53), nullable=False),
)
"""One row: the relay that sends at this moment. It spares duplicates; order does not hang on it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event to send, as it was stored."""

    seq: int
    event: str
    fields: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What a relay sends next, and the newest entry that Redis confirmed of each event that is in it.

    `marked` is False where another relay had the lease in between, so that what was sent was not marked.
    """

    rows: Sequence[Row]
    confirmed: Mapping[str, str]
    marked: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """Of one row: when Redis confirmed it, and as which entry."""

    event: str
    entry_id: str
    at: float


class OutboxRows:
    """Every question and every change is one short transaction."""

    def __init__(self, database: Database, clock: Clock, settings: BrokerSettings, owner: str) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._owner = owner

    async def depth(self) -> int:
        """Return how many events wait to be sent."""
        async with self._database.unit_of_work(read_only=True) as uow:
            unsent = select(func.count()).select_from(host_outbox).where(host_outbox.c.sent_at.is_(None))
            return int((await uow.session.execute(unsent)).scalar_one())

    async def age(self) -> float:
        """Return how long the oldest unsent event has been waiting, in seconds."""
        async with self._database.unit_of_work(read_only=True) as uow:
            oldest = select(func.min(host_outbox.c.created_at)).where(host_outbox.c.sent_at.is_(None))
            created = (await uow.session.execute(oldest)).scalar_one()
        return 0.0 if created is None else max(0.0, self._clock.now() - float(created))

    async def look(self, without: Iterable[int]) -> bool | None:
        """Return whether there is something to send; None where another relay is at it."""
        async with self._database.unit_of_work(read_only=True) as uow:
            if not await _unsent(uow.session, 1, (), without):
                return False
            holder = (await uow.session.execute(select(host_outbox_lease))).first()
        return None if holder is not None and not self._is_free(holder.owner, holder.until) else True

    async def turn(
        self, sent: Mapping[int, Sent], limit: int, *, blocked: Iterable[str] = (), without: Iterable[int] = ()
    ) -> Turn | None:
        """Mark what was sent, and return what is to be sent next; None where another relay is at it.

        Takes or renews the lease, or gives it back where nothing is left. Where another relay has had it in between,
        nothing is marked, because that one knows better what is where: an event is sent twice rather than lost.
        """
        for _ in range(2):
            async with self._database.unit_of_work() as uow:
                session = uow.session
                marked = await self._renew(session)
                if marked:
                    await self._mark(session, sent)
                if marked or await self._take(session):
                    rows = await _unsent(session, limit, blocked, without)
                    if not rows:
                        await self._give_back(session)
                    return Turn(rows, await _confirmed(session, {row.event for row in rows}), marked)
                if (await session.execute(select(host_outbox_lease.c.name))).first() is not None:
                    return None
            await self._create_lease()
        return None

    async def renew(self) -> None:
        """Keep the lease while a send takes long."""
        async with self._database.unit_of_work() as uow:
            await self._renew(uow.session)

    async def finish(self, sent: Mapping[int, Sent]) -> None:
        """Mark what was sent, if the lease is still ours, and give it back."""
        async with self._database.unit_of_work() as uow:
            if await self._give_back(uow.session):
                await self._mark(uow.session, sent)

    async def confirmed(self) -> Mapping[str, str]:
        """Return the newest entry that Redis confirmed, of each event that has one."""
        async with self._database.unit_of_work(read_only=True) as uow:
            return await _confirmed(uow.session)

    async def send_again(self, event: str, note: str) -> int:
        """Have everything of an event sent again that Redis confirmed after `note`; return how many there are."""
        after = host_outbox.c.entry_id > _padded(note)
        again = update(host_outbox).where(host_outbox.c.event == event, after).values(sent_at=None, entry_id=None)
        async with self._database.unit_of_work() as uow:
            return int((await uow.session.execute(again)).rowcount)  # type: ignore[attr-defined]

    async def prune(self) -> None:
        """Delete what was sent so long ago that no failover can have lost it."""
        async with self._database.unit_of_work() as uow:
            old = host_outbox.c.sent_at < self._clock.now() - self._settings.outbox_keep
            await uow.session.execute(delete(host_outbox).where(old))

    def _is_free(self, owner: str, until: float) -> bool:
        """Tell whether a lease is ours, has run out, or was taken by a clock that ran ahead of ours."""
        now = self._clock.now()
        return owner == self._owner or until < now or until > now + 2 * self._settings.relay_lease

    async def _renew(self, session: AsyncSession) -> bool:
        """Renew the lease, also one that had run out, if nobody else has taken it."""
        until = self._clock.now() + self._settings.relay_lease
        mine = update(host_outbox_lease).where(host_outbox_lease.c.owner == self._owner).values(until=until)
        return bool((await session.execute(mine)).rowcount)  # type: ignore[attr-defined]

    async def _take(self, session: AsyncSession) -> bool:
        now, lease = self._clock.now(), host_outbox_lease.c
        length = self._settings.relay_lease
        free = (lease.until < now) | (lease.until > now + 2 * length)
        taken = update(host_outbox_lease).where(free).values(owner=self._owner, until=now + length)
        return bool((await session.execute(taken)).rowcount)  # type: ignore[attr-defined]

    async def _give_back(self, session: AsyncSession) -> bool:
        mine = update(host_outbox_lease).where(host_outbox_lease.c.owner == self._owner).values(until=0.0)
        return bool((await session.execute(mine)).rowcount)  # type: ignore[attr-defined]

    async def _create_lease(self) -> None:
        try:
            async with self._database.unit_of_work() as uow:
                await uow.session.execute(insert(host_outbox_lease).values(name="relay", owner="", until=0.0))
        except IntegrityError:
            return  # another process has just done it

    async def _mark(self, session: AsyncSession, sent: Mapping[int, Sent]) -> None:
        if not sent:
            return
        marked = update(host_outbox).where(host_outbox.c.seq == bindparam("row"))
        marked = marked.values(sent_at=bindparam("at"), entry_id=bindparam("entry"))
        values: list[dict[str, Any]] = [
            {"row": seq, "at": done.at, "entry": _padded(done.entry_id)} for seq, done in sent.items()
        ]
        await (await session.connection()).execute(marked, values)


async def _unsent(session: AsyncSession, limit: int, blocked: Iterable[str], without: Iterable[int]) -> list[Row]:
    table = host_outbox.c
    rows = select(table.seq, table.event, table.fields).where(table.sent_at.is_(None))
    if blocked := list(blocked):
        rows = rows.where(table.event.not_in(blocked))
    if without := list(without):
        rows = rows.where(table.seq.not_in(without))
    return [Row(*row) for row in (await session.execute(rows.order_by(table.seq).limit(limit))).all()]


async def _confirmed(session: AsyncSession, events: Iterable[str] | None = None) -> Mapping[str, str]:
    newest = select(host_outbox.c.event, func.max(host_outbox.c.entry_id)).group_by(host_outbox.c.event)
    newest = newest.where(host_outbox.c.entry_id.is_not(None))
    if events is not None:
        newest = newest.where(host_outbox.c.event.in_(list(events)))
    return {event: _plain(entry_id) for event, entry_id in (await session.execute(newest)).all()}


def _padded(entry_id: str) -> str:
    """Return an entry id as text that sorts in stream order."""
    milliseconds, sequence = as_number(entry_id)
    return f"{milliseconds:020d}-{sequence:020d}"


def _plain(padded: str) -> str:
    milliseconds, sequence = as_number(padded)
    return f"{milliseconds}-{sequence}"
