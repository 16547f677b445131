"""What several commands share: the option that names the configuration, and a host's database opened for a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recyclic.errors import DatabaseError, Problem

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.core.auth import Auth

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration file; by default RECYCLIC_CONFIG, else config.toml."),
]


def load_config(path: Path | None) -> Config:
    """Read the configuration from the named file, or from where the environment says."""
    from recyclic.config import Config  # noqa: PLC0415 - only commands with a configuration need it

    return Config.load(path)


@asynccontextmanager
async def open_auth(config: Config) -> AsyncIterator[Auth]:
    """Open the users of an installation; its host's own tables are migrated where that is allowed."""
    from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError  # noqa: PLC0415

    from recyclic.core.auth import Auth  # noqa: PLC0415
    from recyclic.core.clock import SystemClock  # noqa: PLC0415
    from recyclic.core.database import Database  # noqa: PLC0415
    from recyclic.core.migration import locations  # noqa: PLC0415
    from recyclic.core.module_loader import ModuleRegistry  # noqa: PLC0415

    database = Database(config.database_url)
    try:
        if database.dialect == "sqlite" or config.database.migrate:
            await database.upgrade(locations(ModuleRegistry()))
        yield Auth(database, config.secret(), SystemClock())
    except (InterfaceError, OperationalError, ProgrammingError, OSError) as error:
        what = f"the database cannot be used: {error}"
        raise DatabaseError(Problem(what, database.place, "see that it runs, then: recyclic db upgrade")) from error
    finally:
        await database.close()
