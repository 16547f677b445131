"""Writer: sends each thing to Paheko effectively once, whatever dies or is cut off in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.exc import IntegrityError

from recyclic.core.clock import Clock
from recyclic.core.database import Database, UnitOfWork
from recyclic.modules.paheko.errors import EntryError, PahekoRefusedError, PahekoUnavailableError
from recyclic.modules.paheko.models import Outgoing, State
from recyclic.modules.paheko.writer_lock import Confirm, WriterLock

R = TypeVar("R", bound=Outgoing)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing to send: `find` returns its id in Paheko if it is there, `send` puts it there."""

    find: Callable[[], Awaitable[int | None]]
    send: Callable[[], Awaitable[int]]


class Writer(Generic[R]):
    """The state machine of one table. Its rows are the memory; the lock makes it the only one at work.

    `pack` turns a row into its parcel, or None where nothing has to be sent. `delivered` is called in the transaction
    that marks the row as written. Paheko has no idempotence, so each step asks: what if we die right here?

    1. Look up. It is there: mark it written. Died before? A row in `writing` is in doubt: what was sent may still be
       on its way, so wait as long as Paheko can be busy and look up again.
    2. Mark `writing`, committed before anything leaves.
    3. Send. An id: mark `written`, with the event in the same transaction. A refusal: look up once more, because
       Paheko may refuse what it has saved; then quarantine. No answer: stay in doubt and let the bus come back.
    """

    def __init__(
        self,
        row_class: type[R],
        *,
        database: Database,
        lock: WriterLock,
        clock: Clock,
        busy_seconds: float,
        pack: Callable[[R], Awaitable[Parcel | None]],
        delivered: Callable[[UnitOfWork, R], Awaitable[None]],
    ) -> None:
        self._row_class = row_class
        self._database = database
        self._lock = lock
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._pack = pack
        self._delivered = delivered

    async def accept(self, key: str, **values: Any) -> None:
        """Keep what is to be sent, as `waiting`. What is already known stays as it is."""
        if await self.row(key) is not None:
            return
        now = self._now()
        try:
            async with self._database.unit_of_work() as uow:
                uow.session.add(self._row_class(key=key, created_at=now, updated_at=now, **values))
        except IntegrityError:  # another worker got the same event at the same moment
            if await self.row(key) is None:
                raise

    async def row(self, key: str) -> R | None:
        """Return a row as it stands."""
        async with self._database.unit_of_work(read_only=True) as uow:
            return await uow.session.get(self._row_class, key)

    async def write(self, key: str, *, insist: bool = False) -> None:
        """Send one thing unless it is there. `insist`: also if it is quarantined.

        Raises:
            PahekoUnavailableError: not now; to be called again later.
        """
        async with self._lock.held() as confirm:
            row = await self.row(key)
            if row is None or row.state == State.WRITTEN or (row.state == State.QUARANTINED and not insist):
                return
            try:
                await self._deliver(row, confirm)
            except (PahekoRefusedError, EntryError) as error:
                reason = error.text if isinstance(error, PahekoRefusedError) else str(error)
                await self._set(key, state=State.QUARANTINED, last_error=reason)
                log.warning("set aside for a person to look at", table=row.__tablename__, key=key, reason=reason)
            except PahekoUnavailableError as error:
                await self._set(key, last_error=str(error))
                raise

    async def _deliver(self, row: R, confirm: Confirm) -> None:
        parcel = await self._pack(row)
        remote_id = None
        if parcel is not None:
            remote_id = await self._look_up(parcel, in_doubt=row.state == State.WRITING)
            if remote_id is None:
                await confirm()
                await self._set(row.key, state=State.WRITING, attempts=row.attempts + 1, last_error=None)
                remote_id = await self._send(row.key, parcel)
        await self._written(row.key, remote_id)

    async def _look_up(self, parcel: Parcel, *, in_doubt: bool) -> int | None:
        found = await parcel.find()
        if found is None and in_doubt:
            await self._clock.wait(self._busy_seconds)
            found = await parcel.find()
        return found

    async def _send(self, key: str, parcel: Parcel) -> int:
        try:
            return await parcel.send()
        except PahekoRefusedError:
            found = await parcel.find()
            if found is None:
                raise
            return found
        except PahekoUnavailableError as error:
            if not error.outcome_unknown:
                await self._set(key, state=State.WAITING)
            raise

    async def _written(self, key: str, remote_id: int | None) -> None:
        async with self._database.unit_of_work() as uow:
            row = await uow.session.get_one(self._row_class, key)
            row.state, row.remote_id, row.last_error, row.updated_at = State.WRITTEN, remote_id, None, self._now()
            await self._delivered(uow, row)

    async def _set(self, key: str, **values: Any) -> None:
        async with self._database.unit_of_work() as uow:
            row = await uow.session.get_one(self._row_class, key)
            for name, value in {**values, "updated_at": self._now()}.items():
                setattr(row, name, value)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)
