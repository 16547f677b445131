"""Numbers are unique and consecutive, and of two alike one is asked back, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from recyclic.config import Config
from recyclic.core.database import Database
from recyclic.core.migration import Migrator, locations
from recyclic.core.module_loader import ModuleRegistry
from recyclic.modules.members.models import Member
from recyclic.modules.members.roll import PossibleDuplicateError, Roll
from recyclic.modules.members.schemas import NewMember
from recyclic.testing.assembly import Choice, assemble

NOW = datetime(2025, 9, 17, tzinfo=UTC)


def registry() -> ModuleRegistry:
    return assemble(Choice(("members",)), Config.build())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/members.sqlite3"
    return request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+asyncpg://")


@pytest.fixture
async def database(url):
    """A database with the module's tables, and nothing in them."""
    await Migrator(url).upgrade(locations(registry()))
    opened = Database(url)
    yield opened
    await opened.close()


async def enrol(database: Database, first_name: str, last_name: str = "Lebœuf") -> Member:
    new = NewMember(first_name=first_name, last_name=last_name)
    async with database.unit_of_work() as uow:
        return await Roll(uow.session).enrol(new.model_dump(exclude={"confirm_duplicate"}), NOW, confirmed=False)


async def test_models_and_migrations_agree(database):
    assert await Migrator(database.url).check(locations(registry())) == []


async def test_many_at_once_get_consecutive_numbers(database):
    members = await asyncio.gather(*(enrol(database, f"Zoé {number:c}") for number in range(97, 117)))
    assert sorted(member.number for member in members) == list(range(1, 21))


async def test_of_two_alike_at_once_one_is_asked_back(database):
    ends = await asyncio.gather(*(enrol(database, "Zoé") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(end, PossibleDuplicateError) for end in ends) == 4
    assert (await enrol(database, "Yann")).number == 2, "the refused ones used up no number"


async def test_database_refuses_a_number_twice(database):
    first = await enrol(database, "Zoé")
    copy = {column.key: getattr(first, column.key) for column in Member.__table__.columns}
    with pytest.raises(IntegrityError):
        async with database.unit_of_work() as uow:
            uow.session.add(Member(**{**copy, "id": "other"}))


async def test_search_pages_in_the_same_order_as_it_sorts(database):
    for name in ("Éva", "eve", "Abe", "Zed", "a-b"):
        await enrol(database, name)
    seen: list[str] = []
    last = None
    async with database.unit_of_work(read_only=True) as uow:
        while True:
            found = await Roll(uow.session).search("leboeuf", 2, last)
            seen += [member.first_name for member in found.members]
            last = found.members[-1]
            if not found.more:
                break
    assert seen == ["a-b", "Abe", "Éva", "eve", "Zed"]


async def test_text_that_grows_when_it_is_folded_still_fits(database):
    member = await enrol(database, "ﷺ" * 100, "ﷺ" * 99)
    assert len(member.sort_key) <= 300
