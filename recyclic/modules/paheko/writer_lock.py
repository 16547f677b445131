"""WriterLock: one writer to Paheko at a time, over every worker process that shares the database."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy import text

from recyclic.core.database import Database, sqlite_file

POLL_SECONDS = 0.05
_POSTGRES_KEY = 0x70616865  # "pahe"

_KEEPALIVE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
"""A holder whose machine lost its power sends no farewell: PostgreSQL has to ask, and does so within 40 seconds."""

Confirm = Callable[[], Awaitable[None]]


class WriterLock:
    """Held by the process, not by a time: it is free the moment its holder dies, and never before.

    On SQLite it is a lock on a file beside the database (the workers of one machine), on PostgreSQL a session's
    advisory lock (the workers of all machines). No clock takes part, so neither a wrong clock nor a holder that is
    stopped for an hour lets a second writer in.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file = sqlite_file(database.url)
        self._queue = asyncio.Lock()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Confirm]:
        """Wait for the turn, and keep it for the block. Yields `confirm`, which raises if the turn was lost."""
        async with self._queue:
            if self._file is None:
                async with self._postgres() as confirm:
                    yield confirm
            else:
                async with self._locked_file():
                    yield _nothing_to_confirm

    @asynccontextmanager
    async def _locked_file(self) -> AsyncIterator[None]:
        assert self._file is not None
        handle = os.open(self._file.with_name(f"{self._file.name}.paheko-writer"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Another process is writing; nothing here could wake us. It is real, so real time is waited.
            while not _try_lock(handle):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(handle)  # which unlocks it

    @asynccontextmanager
    async def _postgres(self) -> AsyncIterator[Confirm]:
        """Lock with a connection of its own: when it breaks, PostgreSQL lets the next writer in."""
        async with self._database.engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            try:
                for option, value in _KEEPALIVE.items():
                    await connection.execute(text(f"SET {option} = {value}"))
                await connection.execute(text(f"SELECT pg_advisory_lock({_POSTGRES_KEY})"))

                async def confirm() -> None:
                    await connection.execute(text("SELECT 1"))

                yield confirm
                await connection.execute(text(f"SELECT pg_advisory_unlock({_POSTGRES_KEY})"))
            except BaseException:
                await connection.invalidate()  # closing it gives the lock back, whatever state it is in
                raise


async def _nothing_to_confirm() -> None:
    """A lock on a file is not lost while its process lives."""


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
