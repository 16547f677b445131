"""Databases: each host gets a copy of a SQLite file that was migrated once per module set and process."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from recyclic.core.database import Database
from recyclic.core.migration import Migrator, locations

if TYPE_CHECKING:
    from recyclic.core.module_loader import LoadedModule, ModuleRegistry

_templates: dict[tuple[object, ...], Path] = {}


@lru_cache(maxsize=1)
def home() -> Path:
    """Return this process's folder for databases: in memory where the machine has such a place, removed at exit."""
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made below
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="recyclic-kit-", dir=place))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


async def fresh_database(registry: ModuleRegistry) -> Path:
    """Return a new folder with a database that holds the tables of these modules, and nothing else."""
    key = tuple((module.id, module.cls) for module in registry if _has_tables(module))
    if key not in _templates:
        _templates[key] = await _migrated(registry)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=home()))
    shutil.copyfile(_templates[key], folder / "recyclic.sqlite3")
    return folder


def _has_tables(module: LoadedModule) -> bool:
    return module.cls.metadata is not None or module.versions.is_dir()


async def _migrated(registry: ModuleRegistry) -> Path:
    file = Path(tempfile.mkdtemp(prefix="template-", dir=home())) / "recyclic.sqlite3"
    url = f"sqlite+aiosqlite:///{file}"
    await Migrator(url).upgrade(locations(registry))
    database = Database(url)
    try:
        for module in registry:
            if module.cls.metadata is not None and not module.versions.is_dir():
                async with database.engine.begin() as connection:
                    await connection.run_sync(module.cls.metadata.create_all)
    finally:
        await database.close()
    return file
