"""The command `recyclic`: one file a command, each with `register(app)`."""

from __future__ import annotations

import importlib
import sys

import typer
from rich.console import Console

from recyclic.errors import RecyclicError

COMMANDS = ("serve", "demo", "worker", "modules", "users", "db", "check", "simulate", "events")


def build() -> typer.Typer:
    """Return the command line application with every command registered."""
    app = typer.Typer(
        name="recyclic",
        help="The modular back office of reuse shops, and the kit that proves its modules work together.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in COMMANDS:
        importlib.import_module(f"recyclic.cli.{command}").register(app)
    return app


def main() -> None:
    """Run the command line. A RecyclicError ends in its text on standard error and exit code 2, without a traceback."""
    try:
        build()()
    except RecyclicError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for problem in error.problems:
            console.print(f"recyclic: {problem}", markup=False, style="red")
        sys.exit(2)
