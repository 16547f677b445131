"""Workers for paheko's tests: the module on a real database and a real server, its bus written down, not sent."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from recyclic.core.database import Database
from recyclic.core.events.event import EventMeta
from recyclic.modules.paheko import PahekoModule
from recyclic.modules.paheko.models import EntryRow, MemberRow, metadata
from recyclic.modules.paheko.settings import PahekoSettings


def closed_payload(session_id="s1", *, cash=0, card=0, check=0, donations=0, variance=0, day="2025-09-26", **changes):
    """The payload of a close whose figures agree."""
    return {
        "session_id": session_id,
        "business_date": day,
        "register_name": "Caisse 1",
        "operator": "Zoé",
        "ticket_count": 3,
        "sales_cents": cash + card + check - donations,
        "donations_cents": donations,
        "payments": {"cash": cash, "card": card, "check": check},
        "opening_float_cents": 5000,
        "counted_cash_cents": 5000 + cash + variance,
        "variance_cents": variance,
        "variance_comment": "",
        "deferred": False,
        **changes,
    }


def meta(event, attempt=1):
    """The envelope of a delivery."""
    return EventMeta(id="e1", event=event, source="test", time=datetime(2025, 9, 26, tzinfo=UTC), attempt=attempt)


class QuickClock:
    """Waits by calling `meanwhile`: what the world does while the worker waits."""

    def __init__(self):
        self.waits = []
        self.time = 1_758_900_000.0
        self.meanwhile = lambda: None

    def now(self):
        return self.time

    def monotonic(self):
        return sum(self.waits)

    async def wait(self, seconds, wake=None):
        if seconds == PahekoSettings().retry_seconds:  # the reminder
            await asyncio.Event().wait()
        self.waits.append(seconds)
        await asyncio.to_thread(self.meanwhile)


class WrittenBus:
    """Remembers what was emitted by committed transactions."""

    def __init__(self):
        self.emitted = []
        self.handlers = {}

    def on(self, event, handler, **options):
        self.handlers[event] = handler

    def within(self, uow):
        async def emit(event, **payload):
            uow.after_commit(lambda: self.emitted.append(event if not payload else (event, payload)))

        return SimpleNamespace(emit=emit)


class Worker:
    """One process's module: own connections, own clock, the shared database."""

    def __init__(self, database, settings):
        self.database = database
        self.settings = settings
        self.clock = QuickClock()
        self.bus = WrittenBus()
        self.module = PahekoModule()
        self.module.register_signals(self.bus)

    async def start(self):
        state = SimpleNamespace(database=self.database, clock=self.clock)
        await self.module.startup(SimpleNamespace(state=state), self.settings)

    async def close_till(self, *args, attempt=1, **figures):
        await self.module.book_session(**closed_payload(*args, **figures), meta=meta("sale_closed", attempt))

    async def sync(self, session_id="s1"):
        await self.module.sync_session(session_id=session_id, meta=meta("sync_requested"))

    async def sync_member(self, member_id):
        await self.module.sync_member(member_id=member_id, meta=meta("member_sync_requested"))

    async def join(self, member_id="m1", *, number=7, first_name="Ada", last_name="Dupont", email="ada@asso.example"):
        await self.module.add_member(
            member_id=member_id,
            number=number,
            first_name=first_name,
            last_name=last_name,
            email=email,
            meta=meta("member_created"),
            phone="not asked for",
        )

    async def entry(self, key="s1") -> EntryRow | None:
        async with self.database.unit_of_work(read_only=True) as uow:
            return await uow.session.get(EntryRow, key)

    async def member(self, key) -> MemberRow | None:
        async with self.database.unit_of_work(read_only=True) as uow:
            return await uow.session.get(MemberRow, key)


@asynccontextmanager
async def run_workers(url, settings, count=1):
    """Start `count` workers on one database."""
    started = []
    try:
        for _ in range(count):
            worker = Worker(Database(url), settings)
            if not started:
                async with worker.database.engine.begin() as connection:
                    await connection.run_sync(metadata.create_all)
            await worker.start()
            started.append(worker)
        yield started
    finally:
        for worker in started:
            await worker.module.shutdown()
            await worker.database.close()


@pytest.fixture
def workers():
    """Start workers: `async with workers(url, settings, count=2) as [one, other]`."""
    return run_workers


@pytest.fixture
def sale_closed():
    """Build the payload of a close: `sale_closed("s1", cash=100, variance=-5)`."""
    return closed_payload


@pytest.fixture
def server(paheko_server):
    """The module's own fixture, by a shorter name."""
    return paheko_server


@pytest.fixture
def database_url(tmp_path):
    """A new SQLite file."""
    return f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3"


@pytest.fixture
async def worker(database_url, server):
    """One worker that writes to `server`."""
    async with run_workers(database_url, server.settings) as [one]:
        yield one


@pytest.fixture(scope="session")
def postgres():
    """A private PostgreSQL on a socket of its own; yields its address without a database's name."""
    programs = [shutil.which("pg_ctl"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))]
    program = next((found for found in programs if found), None)
    if program is None:
        pytest.skip("no PostgreSQL on this machine: install it to run these tests on it")
    as_user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            as_user = {"user": pwd.getpwnam("postgres").pw_uid, "group": pwd.getpwnam("postgres").pw_gid}
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    home = tempfile.mkdtemp(prefix="pg-")
    if as_user:
        os.chown(home, as_user["user"], as_user["group"])

    def run(*arguments):
        subprocess.run([program, *arguments], cwd=home, check=True, stdout=subprocess.DEVNULL, timeout=60, **as_user)

    try:
        run("init", "-D", f"{home}/data", "-o", "-A trust -U recyclic --no-sync")
        run("start", "-w", "-D", f"{home}/data", "-l", f"{home}/log", "-o", f"-k {home} -F -c listen_addresses=''")
        try:
            yield f"postgresql+asyncpg://recyclic@/{{name}}?host={home}"
        finally:
            run("stop", "-m", "immediate", "-D", f"{home}/data")
    finally:
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
async def any_database_url(request, tmp_path):
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3"
    address = request.getfixturevalue("postgres")
    name = f"shop_{uuid.uuid4().hex}"
    engine = create_async_engine(address.format(name="postgres"), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return address.format(name=name)
