"""The modules of the repository, from the registry: their migrations lead to their models, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic import Config
from recyclic.core.migration import Migrator, locations
from recyclic.core.module_loader import ModuleRegistry
from recyclic.core.module_source import discover


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return Config.build(database={"url": request.getfixturevalue("postgres_url")}).database_url
    return f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite3'}"


async def test_migrations_and_models_agree(url):
    config = Config.load(Path(__file__).parents[3] / "config.toml", {})
    registry = ModuleRegistry.load(config)
    assert len(registry) == len([source for source in discover(config).values() if source.origin == "monorepo"])
    histories = locations(registry)
    await Migrator(url).upgrade(histories)
    assert [str(problem) for problem in await Migrator(url).check(histories)] == []
