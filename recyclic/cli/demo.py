"""`recyclic demo`: the whole back office with sample data, to click through."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `recyclic --help` is quick

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.core.module_loader import ModuleRegistry

NAME = "demo"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("demo")(demo)


def demo(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 8000,
    folder: Annotated[Path, typer.Option(help="Where the demonstration keeps its data.")] = Path("var/demo"),
) -> None:
    """Serve the enabled modules with sample data: a busy day at two tills, and a shop's notebook.

    Outside systems are stand-ins: accounting is a local server that answers as Paheko does, and forgets when it stops.
    The rest stays in its own folder and is loaded once; remove the folder to begin anew.
    """
    from anyio.from_thread import start_blocking_portal

    from recyclic.cli import serve
    from recyclic.config import Config
    from recyclic.core.module_loader import ModuleRegistry
    from recyclic.core.observability import configure_logging
    from recyclic.core.outside_world import outside_worlds

    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    config = Config.load(environ={**os.environ, "RECYCLIC_DATA_DIR": str(folder), "RECYCLIC_LOG__LEVEL": "warning"})
    config = config.model_copy(update={"server": config.server.model_copy(update={"host": host, "port": port})})
    configure_logging(config.log)
    registry = ModuleRegistry.load(config)
    password = _administrator(config, folder / "sign-in")

    def started(url: str) -> None:
        typer.echo(f"Recyclic runs at {url} — sign in as {NAME} with the password {password}")
        threading.Thread(target=_load, args=(registry, url, password, folder), name="sample data", daemon=True).start()

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(outside_worlds(module.source for module in registry)) as settings,
    ):
        serve.run(_pointed_at(config, settings), registry, started)


def _pointed_at(config: Config, settings: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return the configuration whose modules talk to the stand-ins."""
    tables = {**config.module_settings}
    for module, table in settings.items():
        tables[module] = {**tables.get(module, {}), **table}
    return config.model_copy(update={"module_settings": tables})


def _administrator(config: Config, file: Path) -> str:
    """Return the password of the demonstration's administrator, who is made at the first start."""
    if file.exists():
        return file.read_text(encoding="ascii")
    password = secrets.token_urlsafe(9)
    asyncio.run(_give_password(config, password))
    file.touch(mode=0o600)
    file.write_text(password, encoding="ascii")
    return password


async def _give_password(config: Config, password: str) -> None:
    from recyclic.cli.options import open_auth
    from recyclic.core.permissions import Level, Section

    async with open_auth(config) as auth:
        if any(user.name == NAME for user in await auth.users()):
            await auth.set_password(NAME, password)
        else:
            await auth.add_user(NAME, password, dict.fromkeys(Section, Level.ADMIN))


def _load(registry: ModuleRegistry, url: str, password: str, folder: Path) -> None:
    """Play the modules' sample data over HTTP, once for each folder; what was cut short is played again."""
    marker = folder / "sample-data-loaded"
    if marker.exists():
        return
    typer.echo("Loading the sample data …")
    try:
        asyncio.run(_play(registry, url, password))
    except Exception as error:  # noqa: BLE001 - whatever a module's sample does, the host goes on
        typer.echo(f"The sample data could not be loaded, the rest works: {error}", err=True)
        return
    with contextlib.suppress(OSError):  # the folder may have been removed meanwhile
        marker.touch()
    typer.echo("The sample data is in. Stop with Ctrl-C.")


async def _play(registry: ModuleRegistry, url: str, password: str) -> None:
    import importlib
    import importlib.util

    import httpx

    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        answer = await http.post("/api/auth/sign-in", json={"name": NAME, "password": password})
        answer.raise_for_status()
        for module in registry:
            name = f"{module.source.package}.demo"
            if importlib.util.find_spec(name) is not None:
                typer.echo(f"  {await importlib.import_module(name).play(http)}")
