"""`recyclic modules`: what is enabled, and what each module takes part in."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from recyclic.cli.options import ConfigFile, load_config

if TYPE_CHECKING:
    from recyclic.core.module_loader import LoadedModule


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("modules")(modules)


def modules(*, as_json: Annotated[bool, typer.Option("--json")] = False, config: ConfigFile = None) -> None:
    """List the enabled modules in start order, and those that are there but not enabled."""
    from recyclic.core.module_loader import ModuleRegistry, discover  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    registry = ModuleRegistry.load(loaded)
    rows = [describe(module) for module in registry]
    others = sorted(discover(loaded).keys() - {module.id for module in registry})
    if as_json:
        typer.echo(json.dumps({"modules": rows, "not_enabled": others}, ensure_ascii=False, indent=2))
        return
    table = Table(padding=(0, 0, 0, 1))
    for heading in ("id", "version", "permission", "emits", "consumes", "offers", "fills"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        lists = ("\n".join(row[key]) or "–" for key in ("emits", "consumes", "offers", "fills"))
        table.add_row(row["id"], row["version"], f"{row['section']}/{row['level']}", *lists)
    console = Console(width=None if sys.stdout.isatty() else 160)  # a pipe has room
    console.print(table if rows else "No module is enabled: see [modules] enabled in config.toml.")
    if others:
        console.print(f"Not enabled: {', '.join(others)}", highlight=False)


def describe(module: LoadedModule) -> dict[str, Any]:
    """Return one module's row."""
    manifest = module.manifest
    return {
        "id": module.id,
        "name": manifest.name,
        "version": manifest.version,
        "origin": module.source.origin,
        "path": str(module.source.path),
        "section": str(manifest.permissions.section),
        "level": str(manifest.permissions.level),
        "emits": list(manifest.events.emits),
        "consumes": list(manifest.events.consumes),
        "group": manifest.events.group,
        "offers": list(manifest.ui.provides),
        "fills": list(manifest.ui.slots),
        "needs": list(manifest.dependencies.modules),
    }
