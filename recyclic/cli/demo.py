"""`recyclic demo`: the whole back office with sample data, to click through."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `recyclic --help` is quick

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from recyclic.config import Config

NAME = "demo"
LOADED = "sample-data-loaded"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo(
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
        folder: Annotated[Path, typer.Option(help="Where the demonstration keeps its data.")] = Path("var/demo"),
    ) -> None:
        """Serve the enabled modules with sample data: a busy day at two tills, and a shop's notebook.

        Outside systems are stand-ins: accounting is a local server that answers as Paheko does. The data stays in its
        own folder and is loaded once; remove the folder to begin anew.
        """
        import asyncio

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(host, port, folder.absolute()))


async def _serve(host: str, port: int, folder: Path) -> None:
    import uvicorn

    from recyclic.config import Config
    from recyclic.core.app import create_app
    from recyclic.core.module_source import discover
    from recyclic.core.outside_world import outside_worlds

    folder.mkdir(parents=True, exist_ok=True)
    config = Config.load(environ={**os.environ, "RECYCLIC_DATA_DIR": str(folder)})
    sources = discover(config)
    async with outside_worlds(sources[module] for module in config.modules.enabled if module in sources) as settings:
        application = create_app(_pointed_at(config, settings))
        server = uvicorn.Server(
            uvicorn.Config(application, host=host, port=port, log_level="warning", log_config=None, access_log=False)
        )
        async with _sample_data(application, server, folder, f"http://{host}:{port}"):
            await server.serve()


def _pointed_at(config: Config, settings: dict[str, dict[str, Any]]) -> Config:
    merged = {**config.module_settings}
    for module, table in settings.items():
        merged[module] = {**merged.get(module, {}), **table}
    return config.model_copy(update={"module_settings": merged})


@contextlib.asynccontextmanager
async def _sample_data(application: FastAPI, server: Any, folder: Path, url: str) -> Any:
    """Load the sample data as soon as the server is up, beside it; and say where to look."""
    import asyncio

    async def load() -> None:
        while not server.started:
            await asyncio.sleep(0.05)
        password = await _sign_in(application, folder)
        typer.echo(f"Recyclic is on {url}    sign in as {NAME}, password {password}")
        marker = folder / LOADED
        if marker.exists():
            return
        typer.echo("Loading the sample data: a busy day at two tills, and a shop's notebook …")
        for line in await _play(application, url):
            typer.echo(line)
        marker.touch()
        typer.echo("The sample data is in. Stop with Ctrl-C.")

    task = asyncio.create_task(load(), name="sample data")
    task.add_done_callback(lambda done: None if done.cancelled() or not done.exception() else _give_up(server, done))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _give_up(server: Any, task: Any) -> None:
    typer.echo(f"recyclic: the sample data could not be loaded: {task.exception()}", err=True)
    server.should_exit = True


async def _sign_in(application: FastAPI, folder: Path) -> str:
    """Return the password of the demonstration's administrator, whom the first start makes."""
    from recyclic.core.permissions import Level, Section

    file = folder / "sign-in"
    if not file.exists():
        password = secrets.token_urlsafe(9)
        everything = dict.fromkeys(Section, Level.ADMIN)
        await application.state.auth.add_user(NAME, password, everything)
        file.touch(mode=0o600)
        file.write_text(password, encoding="utf-8")
    return file.read_text(encoding="utf-8")


async def _play(application: FastAPI, url: str) -> list[str]:
    """Let every module that ships a `demo.py` play its sample data over HTTP; return what each says it did."""
    import importlib
    import importlib.util

    import httpx

    from recyclic.core.auth import COOKIE

    auth = application.state.auth
    said = []
    user = next(user for user in await auth.users() if user.name == NAME)
    async with httpx.AsyncClient(base_url=url, cookies={COOKIE: auth.cookie_for(user)}, timeout=60) as http:
        for module in application.state.registry:
            name = f"{module.source.package}.demo"
            if importlib.util.find_spec(name) is not None:
                said.append(await importlib.import_module(name).play(http))
    return said
