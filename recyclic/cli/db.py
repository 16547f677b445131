"""`recyclic db`: migrate the database, see where it stands, write a migration."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from recyclic.cli.options import ConfigFile, load_config
from recyclic.errors import DatabaseError, Problem
from recyclic.nearest import nearest

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.core.migration import MigrationLocation

db = typer.Typer(help="The database and its migrations.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.add_typer(db, name="db")


@db.command("upgrade")
def upgrade(config: ConfigFile = None) -> None:
    """Run every missing migration of the host and the enabled modules."""
    from recyclic.core.migration import Migrator  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    for name, at in asyncio.run(Migrator(loaded.database_url).upgrade(_histories(loaded))).items():
        done = f"{at.current or 'nothing'} → {at.head}" if at.current != at.head else f"{at.head}, nothing to do"
        typer.echo(f"{name}: {done}")


@db.command("current")
def current(config: ConfigFile = None) -> None:
    """Show where each history stands."""
    from recyclic.core.migration import Migrator  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    table = Table("history", "database", "code")
    for name, at in asyncio.run(Migrator(loaded.database_url).current(_histories(loaded))).items():
        table.add_row(name, at.current or "none", at.head or "none")
    Console().print(table)


@db.command("check")
def check(config: ConfigFile = None) -> None:
    """Say what is not migrated, and where models and migrations differ; exit 1 if anything is."""
    from recyclic.core.migration import Migrator  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    problems = asyncio.run(Migrator(loaded.database_url).check(_histories(loaded)))
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("The database is up to date and fits the models.")


@db.command("revision")
def revision(
    module: str,
    message: Annotated[str, typer.Option("--message", "-m", help="What changes, in a few words.")],
    config: ConfigFile = None,
) -> None:
    """Write a migration for MODULE (or `host`) with what its models have and the migrated database has not."""
    from recyclic.core.migration import Migrator  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    histories = {history.id: history for history in _histories(loaded)}
    if module not in histories:
        raise DatabaseError(Problem(f"there is no history of {module}", remedy=nearest(module, histories)))
    migrator = Migrator(loaded.database_url)
    written = asyncio.run(migrator.revise(histories[module], message, list(histories)))
    typer.echo(f"Wrote {written}. Read it before you commit it." if written else f"{module}: nothing has changed.")


def _histories(config: Config) -> list[MigrationLocation]:
    from recyclic.core.migration import locations  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.module_loader import ModuleRegistry  # noqa: PLC0415

    return locations(ModuleRegistry.load(config))
