"""The outbox: events stored with a database transaction, and the relay that sends them after it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import structlog
from sqlalchemy import insert

from recyclic.core.events.cancellation import cancelled
from recyclic.core.events.entries import as_number
from recyclic.core.events.event import Envelope
from recyclic.core.events.handover import NOTHING, HandOver, has_lost
from recyclic.core.events.outbox_rows import OutboxRows, Row, Sent, Turn, host_outbox
from recyclic.core.events.settings import pause_after
from recyclic.errors import BusError, EventError

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.database import Database, UnitOfWork
    from recyclic.core.events.settings import BrokerSettings

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

Letter = tuple[Envelope, dict[str, bytes]]
"""An event to send, and the fields that it was stored with."""

Send = Callable[[str, Sequence[Letter], str], Awaitable[HandOver]]
"""Appends events of one kind, all or none, unless the server has lost what came before them."""

Ask = Callable[[str], Awaitable[str]]
"""Returns the last entry that the server knows to come from the outbox."""

BATCH = 500
"""Rows that are sent between two transactions."""
CHUNK = 1_000_000
"""Bytes of one event's rows that are appended in one step: what comes after waits for it to be confirmed."""
STAND_BY = 0.05
"""Seconds after which a relay asks again whether another has finished."""


class Outbox:
    """Stores events in a unit of work, and relays them. Several relays may run on one database.

    The order of each event's stream is that of the rows, whatever fails: a relay sends an event's rows in steps that
    happen as a whole, begins the next step when the last one is confirmed, and after a failure sends nothing more of
    this event before it has sent the same rows again. The lease lets one relay send at a time, so that they do not
    double each other's work; were two to send at once, each would still keep the order, and the first of two equal
    entries stands where it belongs.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: BrokerSettings,
        send: Send,
        noted: Ask,
        stored: Callable[[Envelope], None],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._send = send
        self._noted = noted
        self._stored = stored
        self._rows = OutboxRows(database, clock, settings, f"{os.getpid()}-{os.urandom(6).hex()}")
        self._sent: dict[int, Sent] = {}
        self._blocked: set[str] = set()
        self._damaged: set[int] = set()
        self._failure: BusError | None = None
        self._wake = asyncio.Event()
        self._dead = False
        self.resent = 0
        """Events that this process had sent again because Redis had lost them."""

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
        return await self._rows.depth()

    async def age(self) -> float:
        """Return how long the oldest unsent event has been waiting, in seconds."""
        return await self._rows.age()

    async def run(self) -> None:
        """Relay until cancelled."""
        failures, self._dead = 0, False
        next_prune = next_check = self._clock.monotonic()
        while True:
            self._wake.clear()
            try:
                if failures or self._clock.monotonic() >= next_check:
                    await self.check()
                    next_check = self._clock.monotonic() + self._settings.relay_check
                pause = await self.relay()
                if self._clock.monotonic() >= next_prune:
                    await _whole(self._rows.prune())
                    next_prune = self._clock.monotonic() + 3600.0
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                failures += 1
                pause = pause_after(failures)
                if failures == 1:
                    log.warning("the outbox cannot be relayed; nothing is lost, trying again", error=str(error))
                self._wake.clear()  # what is committed meanwhile waits for the next try as well
                self._failure = error if isinstance(error, BusError) else BusError(str(error))
            else:
                self._failure = None
            await self._clock.wait(pause, self._wake)

    async def check(self) -> None:
        """Find out whether Redis still has what the outbox has sent, and have sent again what it has lost.

        Raises:
            BusError: Redis is away.
        """
        for event, confirmed in (await _whole(self._rows.confirmed())).items():
            if has_lost(note := await self._noted(event), confirmed):
                await self._send_again(event, note, confirmed)

    async def relay(self) -> float:
        """Send all that waits, and return the seconds to wait before looking again.

        Raises:
            BusError: Redis is away; what was not sent still waits.
        """
        self._blocked.clear()
        failure: BusError | None = None
        there_is = True if self._sent else await _whole(self._rows.look(self._damaged))
        if there_is is None:
            return STAND_BY
        if not there_is:
            return self._settings.relay_poll
        over = False
        try:
            while (turn := await _whole(self._turn())) is not None and turn.rows:
                failure = await self._send_rows(turn) or failure
            over = True
        finally:
            if not over:
                await self._finish()
        if failure is not None:
            raise failure
        return STAND_BY if turn is None else self._settings.relay_poll

    def die(self) -> None:
        """Leave everything as a killed process would: nothing is marked as sent, and the lease runs out by itself."""
        self._dead = True

    def _committed(self, envelope: Envelope) -> None:
        self._stored(envelope)
        if self._failure is None:
            self._wake.set()

    async def _turn(self) -> Turn | None:
        if self._dead:
            return None
        sent = dict(self._sent)
        turn = await self._rows.turn(sent, BATCH, blocked=self._blocked, without=self._damaged)
        if sent and (turn is None or not turn.marked):
            log.warning("another relay took over; what was just sent may be sent twice", events=len(sent))
        for seq in sent:
            del self._sent[seq]
        return turn

    async def _finish(self) -> None:
        """Write down what was done, even while being cancelled; the dead write nothing."""
        if not self._dead:
            await _whole(self._rows.finish(dict(self._sent)))
            self._sent.clear()

    async def _send_rows(self, turn: Turn) -> BusError | None:
        """Send the rows of each event in order, those of different events at once."""
        chunks: dict[str, list[list[tuple[int, Letter]]]] = {}
        size: dict[str, int] = {}
        for row in turn.rows:
            letter = self._read(row)
            if letter is None:
                continue
            size[row.event] = size.get(row.event, CHUNK) + len(row.fields)
            if size[row.event] > CHUNK:
                size[row.event] = len(row.fields)
                chunks.setdefault(row.event, []).append([])
            chunks[row.event][-1].append((row.seq, letter))
        sending = (self._send_event(*item, turn.confirmed.get(item[0], NOTHING)) for item in chunks.items())
        keeping = asyncio.create_task(self._keep_lease(), name="recyclic-bus-relay-lease")
        try:
            outcomes = await asyncio.gather(*sending, return_exceptions=True)
        finally:
            await cancelled([keeping])
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, BusError):
                raise outcome
        return next((outcome for outcome in outcomes if isinstance(outcome, BusError)), None)

    async def _keep_lease(self) -> None:
        """Renew the lease until cancelled: a send that waits for a slow server is not taken over again and again."""
        while not self._dead:
            await self._clock.wait(self._settings.relay_lease / 3)
            await _whole(self._rows.renew())

    async def _send_event(self, event: str, chunks: Sequence[Sequence[tuple[int, Letter]]], confirmed: str) -> None:
        """Send one event's rows, step by step. After a failure its later rows wait for the next round."""
        for chunk in chunks:
            try:
                done = await self._send(event, [letter for _, letter in chunk], confirmed)
            except BusError:
                self._blocked.add(event)
                raise
            if has_lost(done.note, confirmed):
                await self._send_again(event, done.note, confirmed)
                return
            now = self._clock.now()
            for (seq, _), entry_id in zip(chunk, done.ids, strict=True):
                self._sent[seq] = Sent(event, entry_id, now)
            confirmed = done.ids[-1]

    async def _send_again(self, event: str, note: str, confirmed: str) -> None:
        """Redis has lost events that it had confirmed: have them sent again, before anything new."""
        gone = [
            seq
            for seq, sent in self._sent.items()
            if sent.event == event and as_number(sent.entry_id) > as_number(note)
        ]
        for seq in gone:
            del self._sent[seq]
        rows = len(gone) + await _whole(self._rows.send_again(event, note))
        self.resent += rows
        log.error(
            "Redis has lost events that it had confirmed (a failover, or another or an empty server): "
            "they are sent again, and handlers may see some of them a second time",
            event_name=event,
            events=rows,
            last_one_there="none" if note == NOTHING else note,
            last_one_confirmed=confirmed,
        )

    def _read(self, row: Row) -> Letter | None:
        """Read what was stored; a row that cannot be read stays, and holds back nothing."""
        try:
            fields = {key: value.encode() for key, value in orjson.loads(row.fields).items()}
            return Envelope.decode({key.encode(): value for key, value in fields.items()}), fields
        except (ValueError, AttributeError, EventError) as error:
            self._damaged.add(row.seq)
            log.error(  # noqa: TRY400 - the row is to blame, not the code
                "an outbox row cannot be read; it stays", seq=row.seq, event_name=row.event, error=str(error)
            )
            return None


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
