"""Database: the engine, and the UnitOfWork through which everything reads and writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import Depends
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool
from starlette.requests import HTTPConnection

from recyclic.errors import DatabaseError, Problem

if TYPE_CHECKING:
    from recyclic.core.migration import MigrationLocation, Migrator, Revision

BUSY_SECONDS = 10
"""How long a writer waits for another before it gives up."""

READ_ONLY = "recyclic_read_only"
"""The execution option of a unit that only reads."""
log = structlog.get_logger(__name__)


class UnitOfWork:
    """One transaction. Work with `session`; it is committed when the block ends and rolled back when it raises."""

    def __init__(self, session: AsyncSession, *, read_only: bool) -> None:
        self.session = session
        self.read_only = read_only
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the transaction is committed; never if it is rolled back. It must not raise or block."""
        self._after_commit.append(callback)

    def _committed(self) -> None:
        for callback in self._after_commit:
            try:
                callback()
            except Exception:
                log.exception("what should follow a commit failed", callback=repr(callback))


class Database:
    """One database: SQLite in WAL mode, or PostgreSQL. Nothing is opened before the first unit of work.

    On SQLite a writing unit begins with BEGIN IMMEDIATE: it waits for its turn at the start and never fails at its
    first write. The writers of one process queue in order; those of other processes wait up to `BUSY_SECONDS`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = build_engine(url)
        self.dialect = self.engine.dialect.name
        self._writers = asyncio.Lock()
        self._writer: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def unit_of_work(self, *, read_only: bool = False) -> AsyncIterator[UnitOfWork]:
        """Open a transaction; commit it at a clean exit, roll it back on an exception. Units do not nest."""
        async with self._turn(read_only=read_only):
            engine = self.engine.execution_options(**transaction_options(self.url, read_only=read_only))
            async with AsyncSession(engine, expire_on_commit=False) as session:
                unit = UnitOfWork(session, read_only=read_only)
                yield unit
                await session.commit()
        unit._committed()  # noqa: SLF001 - the unit's other half

    @asynccontextmanager
    async def _turn(self, *, read_only: bool) -> AsyncIterator[None]:
        """On SQLite, wait until no other writer of this process is at work."""
        if read_only or self.dialect != "sqlite":
            yield
            return
        if self._writer is not None and self._writer is asyncio.current_task():
            what = "a writing unit of work was opened inside another: the inner one would wait for the outer for ever"
            raise DatabaseError(Problem(what, remedy="pass the unit of work on instead of opening a second one"))
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._writers.acquire()
        except TimeoutError:
            what = f"the database was busy for {BUSY_SECONDS} seconds: another unit of work has not ended"
            raise DatabaseError(Problem(what, remedy="keep writing units short; nothing slow belongs in one")) from None
        self._writer = asyncio.current_task()
        try:
            yield
        finally:
            self._writer = None
            self._writers.release()

    async def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            DatabaseError: it gave none.
        """
        try:
            async with self.unit_of_work(read_only=True) as uow:
                await uow.session.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            what = f"the database does not answer: {error}"
            raise DatabaseError(
                Problem(what, self.place, "see that it runs and that [database] url is right")
            ) from error

    @property
    def place(self) -> str:
        """Return the URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    async def upgrade(self, histories: Iterable[MigrationLocation]) -> dict[str, Revision]:
        """Run every missing migration; see `Migrator`."""
        return await self._migrator().upgrade(histories)

    async def current(self, histories: Iterable[MigrationLocation]) -> dict[str, Revision]:
        """Return where each history stands; see `Migrator`."""
        return await self._migrator().current(histories)

    async def check(self, histories: Sequence[MigrationLocation]) -> list[Problem]:
        """Return what is not migrated and where models and tables differ; see `Migrator`."""
        return await self._migrator().check(histories)

    def _migrator(self) -> Migrator:
        from recyclic.core.migration import Migrator  # noqa: PLC0415 - it imports this file, and Alembic is heavy

        return Migrator(self.url)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def build_engine(url: str, *, migrating: bool = False) -> AsyncEngine:
    """Return an engine that opens nothing yet. `migrating`: no pool, and SQLite's foreign keys off.

    A migration rebuilds SQLite's tables by copying and dropping them; with foreign keys on, the drop would delete or
    refuse rows that point at the table.
    """
    try:
        parsed = make_url(url)
        pool: dict[str, Any] = {"poolclass": NullPool} if migrating else {"pool_pre_ping": not url.startswith("sqlite")}
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                what, remedy = "a database in memory would be another one for each connection", "name a file"
                raise DatabaseError(Problem(what, "[database] url", remedy))
            pool["connect_args"] = {"timeout": BUSY_SECONDS}
        engine = create_async_engine(parsed, **pool)
    except ArgumentError as error:
        what = "the database's URL cannot be read"
        raise DatabaseError(Problem(what, "[database] url", "write postgresql://user:password@host/name")) from error
    except ModuleNotFoundError as error:
        what = f"the driver {error.name} is not installed"
        raise DatabaseError(Problem(what, "[database] url", "run: pip install 'recyclic[postgres]'")) from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, foreign_keys=not migrating)
    return engine


def _prepare_sqlite(engine: AsyncEngine, *, foreign_keys: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: a sale that was answered with 200 survives a power cut. NORMAL would save one fsync per commit.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = bool(connection.get_execution_options().get(READ_ONLY))
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def transaction_options(url: str, *, read_only: bool) -> dict[str, Any]:
    """Return the execution options of a transaction that may, or may not, write."""
    if make_url(url).get_backend_name() == "postgresql":
        return {"postgresql_readonly": read_only}
    return {READ_ONLY: read_only}


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for another database."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


async def unit_of_work(connection: HTTPConnection) -> AsyncIterator[UnitOfWork]:
    """Give a route its unit of work, committed before the answer leaves; GET and HEAD read only."""
    read_only = connection.scope.get("method") in ("GET", "HEAD")
    database: Database = connection.app.state.database
    async with database.unit_of_work(read_only=read_only) as uow:
        yield uow


Uow = Annotated[UnitOfWork, Depends(unit_of_work, scope="function")]
