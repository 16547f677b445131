"""`recyclic worker`: a process that only consumes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from recyclic.cli.options import ConfigFile, load_config

if TYPE_CHECKING:
    from recyclic.config import Config


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("worker")(worker)


def worker(config: ConfigFile = None) -> None:
    """Handle events until told to stop (SIGTERM or Ctrl-C); running handlers are finished first."""
    from recyclic.core.observability import configure_logging  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    configure_logging(loaded.log)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run(loaded))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what uvicorn would serve on: uvloop's loop where there is one, else Python's own."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


async def run(config: Config) -> None:
    """Run the host's lifespan without HTTP until SIGTERM or SIGINT."""
    from recyclic.core.app import create_app  # noqa: PLC0415 - keeps other commands fast

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    app = create_app(config, serve_ui=False)
    async with app.router.lifespan_context(app):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        names = ", ".join(module.id for module in app.state.registry)
        typer.echo(f"Recyclic handles events of: {names}")
        await stop.wait()
