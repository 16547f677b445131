"""Migrator: brings each history of the database to its newest revision, whoever else starts at the same time."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import SQLAlchemyError

from recyclic.core.database import build_engine, sqlite_file, transaction_options
from recyclic.core.module_loader import ModuleRegistry
from recyclic.core.tables import metadata as host_metadata
from recyclic.errors import DatabaseError, Problem

HOME = Path(__file__).parent / "migrations"
HOST = "host"
_LOCK_KEY = 0x7265_6379  # "recy": PostgreSQL's advisory lock of all Recyclic migrations

T = TypeVar("T")


class Run(Protocol):
    """Runs a function on a connection, in a transaction."""

    async def __call__(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns."""
        ...


@dataclass(frozen=True)
class MigrationLocation:
    """One history: whose it is, the folder of its revisions, the tables that they should lead to."""

    id: str
    versions: Path
    metadata: MetaData | None = None

    @property
    def version_table(self) -> str:
        """Return the table that holds the history's current revision."""
        return f"alembic_version_{self.id}"

    @property
    def has_revisions(self) -> bool:
        """Return whether there is any revision."""
        return self.versions.is_dir() and any(self.versions.glob("*.py"))


@dataclass(frozen=True)
class Revision:
    """Where a history stands: `current` in the database, `head` in the code; "" for none."""

    current: str
    head: str


def locations(registry: ModuleRegistry) -> list[MigrationLocation]:
    """Return the host's history and each enabled module's, in start order."""
    own = MigrationLocation(HOST, HOME / "versions", host_metadata)
    return [own, *(MigrationLocation(module.id, module.versions, module.cls.metadata) for module in registry)]


class Migrator:
    """Migrates the database at `url`. Every call takes the cross-process lock and does nothing twice."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def upgrade(self, histories: Iterable[MigrationLocation]) -> dict[str, Revision]:
        """Run what is missing of each history, in one transaction each; return what was there before and is now.

        Raises:
            DatabaseError: a migration failed; the history stays at the revision before.
        """
        written = [history for history in histories if history.has_revisions]
        stands = await self._glance(written)
        if stands and all(at.current == at.head for at in stands.values()):
            return stands
        async with self._connection() as run:
            return {history.id: await run(partial(_upgrade, history=history)) for history in written}

    async def current(self, histories: Iterable[MigrationLocation]) -> dict[str, Revision]:
        """Return where each history stands."""
        async with self._connection() as run:
            return await run(partial(_revisions, histories=list(histories)))

    async def check(self, histories: Sequence[MigrationLocation]) -> list[Problem]:
        """Return what is not migrated, and where the models and the migrated tables differ."""
        ids = [history.id for history in histories]
        async with self._connection() as run:
            found = [await run(partial(_check, history=history, ids=ids)) for history in histories]
        return [problem for problems in found for problem in problems]

    async def revise(self, history: MigrationLocation, message: str, ids: Sequence[str]) -> Path | None:
        """Write a new revision with what the models have and the database has not; None if there is nothing."""
        history.versions.mkdir(parents=True, exist_ok=True)
        async with self._connection() as run:
            return await run(partial(_revise, history=history, message=message, ids=ids))

    async def _glance(self, histories: Sequence[MigrationLocation]) -> dict[str, Revision]:
        """Look where the histories stand, without the lock; nothing if that cannot be seen right now."""
        file = sqlite_file(self.url)
        if file is not None and not file.exists():
            return {}
        engine = build_engine(self.url, migrating=True)
        try:
            async with engine.execution_options(
                **transaction_options(self.url, read_only=True)
            ).connect() as connection:
                return await connection.run_sync(_revisions, histories)
        except (SQLAlchemyError, OSError):
            return {}  # the way under the lock tells why
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Run]:
        """Yield `run(work)`: `work` gets a connection in a transaction of its own, under the lock."""
        engine = build_engine(self.url, migrating=True)
        try:
            async with _file_lock(self.url):

                async def run(work: Callable[[Connection], T]) -> T:
                    async with engine.begin() as connection:
                        if connection.dialect.name == "postgresql":
                            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
                        return await connection.run_sync(work)

                yield run
        except (SQLAlchemyError, OSError) as error:
            what = f"the database cannot be used: {error}"
            remedy = "see that it runs, that [database] url is right and that the folder can be written"
            raise DatabaseError(Problem(what, engine.url.render_as_string(hide_password=True), remedy)) from error
        finally:
            await engine.dispose()


@asynccontextmanager
async def _file_lock(url: str) -> AsyncIterator[None]:
    """On SQLite, hold a lock file: switching a new database to WAL does not wait for other processes by itself."""
    file = sqlite_file(url)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file.with_name(file.name + ".migrating"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _alembic(history: MigrationLocation, **attributes: Any) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(HOME).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(history.versions).replace("%", "%%"))
    config.attributes.update(metadata=history.metadata, version_table=history.version_table, include_name=None)
    config.attributes.update(attributes)
    return config


def _revisions(connection: Connection, histories: Sequence[MigrationLocation]) -> dict[str, Revision]:
    return {history.id: _revision(connection, history) for history in histories}


def _revision(connection: Connection, history: MigrationLocation) -> Revision:
    context = MigrationContext.configure(connection, opts={"version_table": history.version_table})
    return Revision(context.get_current_revision() or "", _head(history))


def _head(history: MigrationLocation) -> str:
    files = tuple((file.name, file.stat().st_mtime_ns) for file in sorted(history.versions.glob("*.py")))
    return _read_head(history, files) if files else ""


@lru_cache(maxsize=256)
def _read_head(history: MigrationLocation, _files: tuple[tuple[str, int], ...]) -> str:
    """Return the newest revision of the code; read once for as long as the files stay as they are."""
    try:
        return ScriptDirectory.from_config(_alembic(history)).get_current_head() or ""
    except Exception as error:
        what = f"the migrations of {history.id} cannot be read: {error}"
        raise DatabaseError(Problem(what, str(history.versions), "give them one line of revisions")) from error


def _upgrade(connection: Connection, history: MigrationLocation) -> Revision:
    before = _revision(connection, history)
    if before.current == before.head:
        return before
    try:
        command.upgrade(_alembic(history, connection=connection), "head")
        if connection.dialect.name == "sqlite":
            _check_foreign_keys(connection)
    except DatabaseError:
        raise
    except Exception as error:
        what = f"a migration of {history.id} failed, nothing of it was kept: {error}"
        remedy = "correct the migration; the database is as it was before"
        if isinstance(error, CommandError):
            remedy = "the database may be of a newer version than this code: install that version"
        raise DatabaseError(Problem(what, str(history.versions), remedy)) from error
    return Revision(before.current, before.head)


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        table, row, parent, _ = broken[0]
        what = f"{len(broken)} rows would point at nothing, the first: row {row} of {table} at {parent}"
        raise DatabaseError(Problem(what, remedy="let the migration move or delete these rows"))


def own_table(name: str | None, module_id: str, ids: Iterable[str]) -> bool:
    """Return whether a table belongs to `module_id`: named `<id>_…`, and by no longer id of `ids`."""
    owners = [other for other in ids if name and name.startswith(f"{other}_")]
    return bool(owners) and max(owners, key=len) == module_id


def _check(connection: Connection, history: MigrationLocation, ids: Sequence[str]) -> list[Problem]:
    revision = _revision(connection, history)
    where = str(history.versions)
    tables = history.metadata.tables if history.metadata is not None else {}
    problems = [
        Problem(f"the table {name} is not named {history.id}_…", where, "rename it")
        for name in tables
        if not own_table(name, history.id, ids)
    ]
    if revision.current != revision.head:
        stands = revision.current or "nothing"
        what = f"{history.id} is at {stands}, its newest revision is {revision.head or 'none'}"
        return [*problems, Problem(what, where, "run: recyclic db upgrade")]
    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": history.version_table,
            "include_name": lambda name, kind, _: kind != "table" or own_table(name, history.id, ids),
        },
    )
    remedy = f"run: recyclic db revision {history.id} -m 'what changes'"
    differences = compare_metadata(context, history.metadata if history.metadata is not None else MetaData())
    return problems + [
        Problem(f"{history.id}'s models and migrations differ: {_difference(item)}", where, remedy)
        for item in differences
    ]


def _difference(item: Any) -> str:
    if isinstance(item, list):
        return ", ".join(_difference(one) for one in item)
    return " ".join(str(part) for part in item if part is not None)


def _revise(connection: Connection, history: MigrationLocation, message: str, ids: Sequence[str]) -> Path | None:
    number = len(list(history.versions.glob("*.py"))) + 1
    config = _alembic(
        history,
        connection=connection,
        include_name=lambda name, kind, _: kind != "table" or own_table(name, history.id, ids),
    )

    def drop_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
        if directives and directives[0].upgrade_ops.is_empty():
            directives[:] = []

    script = command.revision(
        config,
        message=message,
        autogenerate=True,
        rev_id=f"{number:04d}",
        version_path=str(history.versions),
        process_revision_directives=drop_empty,
    )
    found = (script[0] if script else None) if isinstance(script, list) else script
    return Path(found.path) if found else None
