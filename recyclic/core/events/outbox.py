"""The outbox: events stored with a database transaction, and the relay that sends them after it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import structlog
from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from recyclic.core.events.event import Envelope
from recyclic.errors import BusError, EventError

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.database import Database, UnitOfWork
    from recyclic.core.events.settings import BrokerSettings

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

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
    Index("ix_host_outbox_unsent", "sent_at", "seq"),
    sqlite_autoincrement=True,
)
"""Events to send, in `seq` order. `id` is the event's; times are seconds since the epoch of the host's clock."""

host_outbox_lease = Table(
    "host_outbox_lease",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Float(53), nullable=False),
)
"""One row: the relay that sends at this moment, so that order holds with several of them."""

BATCH = 100
STAND_BY = 0.05
"""Seconds after which a relay asks again whether another has finished."""


class Outbox:
    """Stores events in a unit of work, and relays them. Several relays may run on one database; one sends at a time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: BrokerSettings,
        publish: Callable[[Envelope], Awaitable[str]],
        stored: Callable[[Envelope], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._publish = publish
        self._stored = stored
        self._owner = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._sent: dict[int, float] = {}
        self._blocked: set[str] = set()
        self._damaged: set[int] = set()
        self._wake = asyncio.Event()
        self._dead = False

    async def store(self, uow: UnitOfWork, envelope: Envelope) -> None:
        """Insert the event into the unit's transaction; the relay wakes at its commit."""
        fields = orjson.dumps({key: value.decode() for key, value in envelope.encode().items()}).decode()
        row = {"id": envelope.id, "event": envelope.event, "fields": fields, "created_at": self._clock.now()}
        await uow.session.execute(insert(host_outbox).values(row))
        uow.after_commit(lambda: self._committed(envelope))

    def wake(self) -> None:
        """Have the relay look now."""
        self._wake.set()

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

    async def run(self) -> None:
        """Relay until cancelled."""
        failures, self._dead = 0, False
        next_prune = self._clock.monotonic()
        while True:
            self._wake.clear()
            try:
                pause = await self.relay()
                if self._clock.monotonic() >= next_prune:
                    await _whole(self._prune())
                    next_prune = self._clock.monotonic() + 3600.0
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                failures += 1
                pause = min(5.0, 0.05 * 2.0 ** min(failures, 10))
                if failures == 1:
                    log.warning("the outbox cannot be relayed; nothing is lost, trying again", error=str(error))
            await self._clock.wait(pause, self._wake)

    async def relay(self) -> float:
        """Send all that waits, and return the seconds to wait before looking again.

        Raises:
            BusError: Redis is away; what was not sent still waits.
        """
        self._blocked.clear()
        failure: BusError | None = None
        if not self._sent and not await _whole(self._unsent()):
            return self._settings.relay_poll
        if not await _whole(self._acquire()):
            return STAND_BY
        try:
            await self._finish(self._mark())
            while rows := await _whole(self._unsent()):
                try:
                    for seq, event, fields in rows:
                        if event not in self._blocked:
                            failure = await self._send(seq, event, fields) or failure
                finally:
                    await self._finish(self._mark())
                await _whole(self._acquire())
        finally:
            await self._finish(self._release())
        if failure is not None:
            raise failure
        return self._settings.relay_poll

    def die(self) -> None:
        """Leave everything as a killed process would: nothing is marked as sent, and the lease runs out by itself."""
        self._dead = True

    async def _finish(self, unit: Coroutine[Any, Any, None]) -> None:
        """Write down what was done, even while being cancelled; the dead write nothing."""
        if self._dead:
            unit.close()
        else:
            await _whole(unit)

    async def _send(self, seq: int, event: str, stored: str) -> BusError | None:
        """Append one row. One that cannot be sent holds back its event's later ones, and no other event."""
        try:
            fields = {key.encode(): value.encode() for key, value in orjson.loads(stored).items()}
            envelope = Envelope.decode(fields)
        except (ValueError, AttributeError, EventError) as error:
            self._damaged.add(seq)
            log.error("an outbox row cannot be read; it stays", seq=seq, event_name=event, error=str(error))  # noqa: TRY400
            return None
        try:
            await self._publish(envelope)
        except BusError as error:
            self._blocked.add(event)
            return error
        self._sent[seq] = self._clock.now()
        return None

    def _committed(self, envelope: Envelope) -> None:
        self._stored(envelope)
        self._wake.set()

    async def _unsent(self) -> Sequence[Any]:
        table = host_outbox.c
        rows = select(table.seq, table.event, table.fields).where(table.sent_at.is_(None))
        if self._blocked:
            rows = rows.where(table.event.not_in(self._blocked))
        if self._damaged:
            rows = rows.where(table.seq.not_in(self._damaged))
        async with self._database.unit_of_work(read_only=True) as uow:
            return (await uow.session.execute(rows.order_by(table.seq).limit(BATCH))).all()

    async def _mark(self) -> None:
        if not self._sent:
            return
        sent = dict(self._sent)
        async with self._database.unit_of_work() as uow:
            at = max(sent.values())
            await uow.session.execute(update(host_outbox).where(host_outbox.c.seq.in_(sent)).values(sent_at=at))
        for seq in sent:
            del self._sent[seq]

    async def _acquire(self) -> bool:
        """Take or renew the lease; False while another relay holds it."""
        now = self._clock.now()
        lease = host_outbox_lease
        values = {"owner": self._owner, "until": now + self._settings.relay_lease}
        free = (lease.c.until < now) | (lease.c.owner == self._owner)
        async with self._database.unit_of_work() as uow:
            if (await uow.session.execute(update(lease).where(free).values(values))).rowcount:  # type: ignore[attr-defined]
                return True
            if (await uow.session.execute(select(lease.c.name))).first() is not None:
                return False
        try:
            async with self._database.unit_of_work() as uow:
                await uow.session.execute(insert(lease).values({"name": "relay", **values}))
        except IntegrityError:
            return False
        return True

    async def _release(self) -> None:
        async with self._database.unit_of_work() as uow:
            mine = host_outbox_lease.c.owner == self._owner
            await uow.session.execute(update(host_outbox_lease).where(mine).values(until=0.0))

    async def _prune(self) -> None:
        async with self._database.unit_of_work() as uow:
            old = host_outbox.c.sent_at < self._clock.now() - self._settings.outbox_keep
            await uow.session.execute(delete(host_outbox).where(old))


async def _whole(unit: Coroutine[Any, Any, _T]) -> _T:
    """Run a unit of work to its end even if we are cancelled: a connection must not be dropped in the middle."""
    task = asyncio.create_task(unit, name="recyclic-bus-relay-unit")
    interrupted: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is not None:
        if not task.cancelled():
            task.exception()
        raise interrupted
    return task.result()
