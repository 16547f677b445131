"""Codes are unique because the database says so, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from recyclic.config import Config
from recyclic.core.database import Database
from recyclic.core.migration import Migrator, locations
from recyclic.core.module_loader import ModuleRegistry
from recyclic.modules.barcodes.labels import Labels
from recyclic.modules.barcodes.models import Label
from recyclic.modules.barcodes.schemas import NewLabel
from recyclic.testing.assembly import Choice, assemble

NOW = datetime(2025, 9, 17, tzinfo=UTC)
CHAIR = NewLabel(label="Chaise", price_cents=500)


def registry() -> ModuleRegistry:
    return assemble(Choice(("barcodes",)), Config.build())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/labels.sqlite3"
    return request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+asyncpg://")


@pytest.fixture
async def database(url):
    """A database with the module's tables, and nothing in them."""
    await Migrator(url).upgrade(locations(registry()))
    opened = Database(url)
    yield opened
    await opened.close()


async def add(database: Database, new: NewLabel = CHAIR, prefix: int = 20) -> Label:
    async with database.unit_of_work() as uow:
        return await Labels(uow.session).add(new, prefix, NOW)


async def test_models_and_migrations_agree(database):
    assert await Migrator(database.url).check(locations(registry())) == []


async def test_many_at_once_get_consecutive_numbers(database):
    labels = await asyncio.gather(*(add(database) for _ in range(20)))
    assert sorted(label.number for label in labels) == list(range(1, 21))
    assert len({label.code for label in labels}) == 20


async def test_label_that_is_rolled_back_uses_up_no_number(database):
    async with database.unit_of_work() as uow:
        await Labels(uow.session).add(CHAIR, 20, NOW)
        await uow.session.rollback()
    assert (await add(database)).number == 1


@pytest.mark.parametrize("same", ["code", "number"])
async def test_database_refuses_a_second_one(database, same):
    first = await add(database)
    values = {"id": "other", "number": 2, "code": "2000000000022", "label": "x", "price_cents": 1, "created_at": NOW}
    with pytest.raises(IntegrityError):
        async with database.unit_of_work() as uow:
            uow.session.add(Label(**{**values, same: getattr(first, same)}))


@pytest.mark.parametrize("column", ["price_cents", "weight_grams"])
async def test_database_refuses_less_than_nothing(database, column):
    values = {"id": "other", "number": 2, "code": "2000000000022", "label": "x", "price_cents": 1, "created_at": NOW}
    with pytest.raises(IntegrityError):
        async with database.unit_of_work() as uow:
            uow.session.add(Label(**{**values, column: -1}))


async def test_another_prefix_goes_on_counting(database):
    assert (await add(database, prefix=20)).code == "2000000000015"
    assert (await add(database, prefix=27)).code == "2700000000021"
