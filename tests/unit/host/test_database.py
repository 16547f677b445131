"""The unit of work, on SQLite and on a real PostgreSQL: one suite for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import FastAPI, HTTPException
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from recyclic import Config, Uow
from recyclic.core import database as database_file
from recyclic.core.database import Database
from recyclic.errors import DatabaseError
from tests.unit.host.conftest import Quiet

metadata = MetaData()
parent = Table("till_parent", metadata, Column("id", Integer, primary_key=True))
child = Table("till_child", metadata, Column("parent_id", ForeignKey("till_parent.id"), nullable=False))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        return Config.build(database={"url": url}).database_url
    return f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite3'}"


@pytest.fixture
async def database(database_url) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.close()


async def count(database: Database) -> int:
    async with database.unit_of_work(read_only=True) as uow:
        return (await uow.session.execute(select(func.count()).select_from(parent))).scalar_one()


async def test_a_clean_end_commits(database):
    async with database.unit_of_work() as uow:
        await uow.session.execute(insert(parent).values(id=1))
    assert await count(database) == 1


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_an_exception_rolls_back(database, error):
    async def fail() -> None:
        async with database.unit_of_work() as uow:
            await uow.session.execute(insert(parent).values(id=1))
            raise error

    with pytest.raises(error):
        await fail()
    assert await count(database) == 0
    async with database.unit_of_work() as uow:
        await uow.session.execute(insert(parent).values(id=2))


async def test_what_follows_a_commit_runs_after_it_and_in_order(database):
    seen = []
    with structlog.testing.capture_logs() as logs:
        async with database.unit_of_work() as uow:
            uow.after_commit(lambda: seen.append(1))
            uow.after_commit(lambda: 1 / 0)
            uow.after_commit(lambda: seen.append(2))
            await uow.session.execute(insert(parent).values(id=1))
            assert seen == []
    assert seen == [1, 2]
    assert [log["event"] for log in logs] == ["what should follow a commit failed"]
    assert await count(database) == 1


async def test_what_follows_a_commit_does_not_follow_a_rollback(database):
    seen = []

    async def fail() -> None:
        async with database.unit_of_work() as uow:
            uow.after_commit(lambda: seen.append(1))
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await fail()
    assert seen == []


async def test_foreign_keys_are_held(database):
    with pytest.raises(IntegrityError):
        async with database.unit_of_work() as uow:
            await uow.session.execute(insert(child).values(parent_id=7))


async def test_a_read_only_unit_cannot_write_and_the_next_one_can(database):
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"):
        async with database.unit_of_work(read_only=True) as uow:
            await uow.session.execute(insert(parent).values(id=1))
    async with database.unit_of_work() as uow:
        await uow.session.execute(insert(parent).values(id=1))
    assert await count(database) == 1


async def test_fifty_writers_that_read_first_all_get_through(database):
    async def write(number: int) -> None:
        async with database.unit_of_work() as uow:
            await uow.session.execute(select(parent.c.id))
            await uow.session.execute(insert(parent).values(id=number))

    await asyncio.gather(*(write(number) for number in range(50)))
    assert await count(database) == 50


async def test_readers_do_not_wait_for_a_writer(database):
    async with database.unit_of_work() as uow:
        await uow.session.execute(insert(parent).values(id=1))
        async with asyncio.timeout(5):
            assert await count(database) == 0


async def test_ping_answers_or_says_why_not(database, tmp_path):
    await database.ping()
    away = Database(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'folder' / 'db'}")
    with pytest.raises(DatabaseError, match="does not answer"):
        await away.ping()
    await away.close()


class TestSqlite:
    @pytest.fixture
    def database_url(self, tmp_path) -> str:
        return f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite3'}"

    async def test_it_runs_with_wal_and_full_durability(self, database):
        async with database.unit_of_work(read_only=True) as uow:
            answers = [
                (await uow.session.execute(text(f"PRAGMA {name}"))).scalar_one()
                for name in ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"]
            ]
        assert answers == ["wal", 2, 1, 10_000]

    async def test_a_writer_inside_a_writer_is_an_error_at_once(self, database):
        with pytest.raises(DatabaseError, match="inside another"):
            async with database.unit_of_work(), database.unit_of_work():
                pytest.fail("it must not open")
        async with database.unit_of_work():
            pass

    async def test_a_writer_that_never_ends_is_named_after_a_while(self, database, monkeypatch):
        monkeypatch.setattr(database_file, "BUSY_SECONDS", 0.01)
        opened, end = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with database.unit_of_work():
                opened.set()
                await end.wait()

        task = asyncio.create_task(hold())
        await opened.wait()
        with pytest.raises(DatabaseError, match="keep writing units short"):
            async with database.unit_of_work():
                pytest.fail("it must not open")
        end.set()
        await task

    async def test_two_processes_write_in_turns(self, database, database_url):
        other = Database(database_url)

        async def write(place: Database, number: int) -> None:
            async with place.unit_of_work() as uow:
                await uow.session.execute(select(parent.c.id))
                await uow.session.execute(insert(parent).values(id=number))

        await asyncio.gather(*(write((database, other)[number % 2], number) for number in range(40)))
        assert await count(other) == 40
        await other.close()

    @pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
    def test_a_database_in_memory_is_refused_with_the_reason(self, url):
        with pytest.raises(DatabaseError, match="another one for each connection"):
            Database(url)


class TestDependency:
    @pytest.fixture
    async def host(self, run_host):
        class Till(Quiet):
            def register_routes(self, app: FastAPI) -> None:
                @app.post("/api/modules/till/users/{name}")
                async def add(name: str, uow: Uow) -> str:
                    await uow.session.execute(text(INSERT), {"name": name})
                    if name == "bad":
                        raise HTTPException(409, "bad")
                    return name

                @app.get("/api/modules/till/users/{name}")
                async def wrong(name: str, uow: Uow) -> None:
                    await uow.session.execute(text(INSERT), {"name": name})

        async with run_host(("till", Till)) as host:
            await host.sign_in()
            yield host

    async def names(self, host) -> list[str]:
        return [user.name for user in await host.app.state.auth.users() if user.name != "administrator"]

    async def test_the_commit_comes_before_the_answer(self, host):
        seen = []

        async def watched(scope, receive, send) -> None:
            async def watch(message) -> None:
                if message["type"] == "http.response.start":
                    seen.append(await self.names(host))
                await send(message)

            await host.app(scope, receive, watch)

        transport = httpx.ASGITransport(watched)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://shop.test", cookies=host.http.cookies
        ) as http:
            assert (await http.post("/api/modules/till/users/ana")).status_code == 200
        assert seen == [["ana"]]

    async def test_a_route_that_fails_leaves_nothing(self, host):
        assert (await host.http.post("/api/modules/till/users/bad")).status_code == 409
        assert await self.names(host) == []

    async def test_a_commit_that_fails_is_not_answered_as_done(self, host):
        await host.http.post("/api/modules/till/users/ana")
        assert (await host.http.post("/api/modules/till/users/ana")).status_code == 500

    async def test_get_only_reads(self, host):
        assert (await host.http.get("/api/modules/till/users/ana")).status_code == 500
        assert await self.names(host) == []


INSERT = """INSERT INTO host_user (id, name, name_key, password_hash, permissions, session_key, created_at)
            VALUES (:name, :name, :name, '!', '{}', '', 0)"""


@pytest.mark.parametrize(("url", "text"), [("nonsense", "cannot be read"), ("sqlite+nodriver:///x", "cannot be read")])
def test_an_unusable_url_is_told(url, text):
    with pytest.raises(DatabaseError, match=text):
        Database(url)
