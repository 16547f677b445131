"""`recyclic serve`: the host behind uvicorn, or behind gunicorn with several workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import recyclic
from recyclic.cli.options import ConfigFile, load_config, open_auth
from recyclic.errors import DatabaseError

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.core.module_loader import ModuleRegistry

GRACEFUL_SECONDS = 30
"""How long requests and handlers may go on after a stop was asked for."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve")(serve)


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; more than one runs gunicorn.")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start again when code changes; for development.")] = False,
    config: ConfigFile = None,
) -> None:
    """Run the host until it is told to stop."""
    from recyclic.core.module_loader import ModuleRegistry  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.observability import configure_logging  # noqa: PLC0415

    loaded = load_config(config)
    given = {"host": host, "port": port, "workers": workers}
    server = loaded.server.model_copy(update={key: value for key, value in given.items() if value is not None})
    loaded = loaded.model_copy(update={"server": server})
    configure_logging(loaded.log)
    registry = ModuleRegistry.load(loaded)
    if not asyncio.run(_has_users(loaded)):
        typer.echo("Nobody can sign in yet. Add a user: recyclic users add NAME --admin", err=True)
    if not reload and server.workers == 1:
        run(loaded, registry)
        return
    if loaded.path is not None:
        os.environ["RECYCLIC_CONFIG"] = str(loaded.path)  # the processes that serve read it again
    if reload:
        _run_reloading(loaded)
    else:
        _run_gunicorn(loaded)


def run(
    config: Config, registry: ModuleRegistry | None = None, on_started: Callable[[str], None] | None = None
) -> None:
    """Serve in this process; `on_started` gets the URL once requests are taken."""
    import uvicorn  # noqa: PLC0415 - keeps other commands fast

    from recyclic.core.app import create_app  # noqa: PLC0415
    from recyclic.core.startup_errors import StartupErrors  # noqa: PLC0415

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                bound = [item for server in self.servers for item in server.sockets]
                (on_started or _announce)(url(config.server.host, bound[0].getsockname()[1]))

    app = StartupErrors(create_app(config, registry=registry))
    settings: dict[str, Any] = {
        "host": config.server.host,
        "port": config.server.port,
        "timeout_graceful_shutdown": GRACEFUL_SECONDS,
    }
    server = Server(uvicorn.Config(app, **settings, **_quiet()))
    server.run()
    if not server.started:
        raise typer.Exit(1)


def url(host: str, port: int) -> str:
    """Return the address to open in a browser."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - read
    return f"http://{name}:{port}"


def _announce(address: str) -> None:
    typer.echo(f"Recyclic runs at {address}")


def _quiet() -> dict[str, Any]:
    """Let uvicorn's records go the way of all others, without one for each request."""
    return {"log_config": None, "access_log": False, "lifespan": "on"}


def _run_reloading(config: Config) -> None:
    import uvicorn  # noqa: PLC0415 - keeps other commands fast

    _announce(url(config.server.host, config.server.port))
    folders = [Path(recyclic.__file__).parent, *config.modules.path]
    uvicorn.run(
        "recyclic.core.asgi:app",
        host=config.server.host,
        port=config.server.port,
        reload=True,
        reload_dirs=[str(folder) for folder in folders],
        **_quiet(),
    )


def _run_gunicorn(config: Config) -> None:
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # noqa: PLC0415 - keeps others fast

    server = config.server
    address = f"[{server.host}]" if ":" in server.host else server.host
    settings = {
        "bind": f"{address}:{server.port}",
        "workers": server.workers,
        "worker_class": "uvicorn_worker.UvicornWorker",
        "graceful_timeout": GRACEFUL_SECONDS,
        "timeout": 120,
        "proc_name": "recyclic",
        "when_ready": lambda arbiter: _announce(url(server.host, arbiter.LISTENERS[0].getsockname()[1])),
    }

    class Workers(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for key, value in settings.items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            from recyclic.core.asgi import app  # noqa: PLC0415 - in the worker, after the fork

            return app

    with _shared_metrics():
        Workers().run()


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """Have the workers gather their counters, so that `/metrics` tells of all of them whoever answers."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # whoever set it may gather other processes as well
        yield
        return
    with tempfile.TemporaryDirectory(prefix="recyclic-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


async def _has_users(config: Config) -> bool:
    """Say whether anybody can sign in; of a database that cannot be used yet the host itself tells more, later."""
    try:
        async with open_auth(config) as auth:
            return bool(await auth.users())
    except DatabaseError:
        return True
