"""`recyclic users`: add, list, remove, change a password."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from recyclic.cli.options import ConfigFile, load_config, open_auth

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.core.permissions import Level, Section, User

users = typer.Typer(help="Who may sign in, and what they may do.", no_args_is_help=True)

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and print it once.")]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.add_typer(users, name="users")


@users.command("add")
def add(
    name: str,
    permission: Annotated[
        list[str] | None,
        typer.Option("--permission", "-p", help="SECTION=LEVEL, for example caisse=write; repeatable."),
    ] = None,
    *,
    admin: Annotated[bool, typer.Option("--admin", help="Give admin in every section.")] = False,
    password_stdin: FromStdin = False,
    generate: Generate = False,
    config: ConfigFile = None,
) -> None:
    """Add a user. The password is asked for, or made and printed once where nobody can be asked."""
    from recyclic.core.permissions import administrator_permissions  # noqa: PLC0415 - keeps other commands fast

    granted = {**(administrator_permissions() if admin else {}), **read_pairs(permission or [])}
    if not granted:
        raise typer.BadParameter("give at least one --permission SECTION=LEVEL, or --admin")
    loaded = load_config(config)
    password = _password(from_stdin=password_stdin, generate=generate)
    asyncio.run(_add(loaded, name, password, granted))
    typer.echo(f"Added {name}.")


@users.command("list")
def list_users(*, as_json: Annotated[bool, typer.Option("--json")] = False, config: ConfigFile = None) -> None:
    """List all users and what they may do."""
    found = asyncio.run(_list(load_config(config)))
    if as_json:
        rows = [
            {"name": user.name, "permissions": {str(k): str(v) for k, v in user.permissions.items()}} for user in found
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = Table("name", "permissions")
    for user in found:
        table.add_row(user.name, ", ".join(f"{key}={value}" for key, value in user.permissions.items()))
    Console().print(table if found else "No users yet: recyclic users add NAME --admin")


@users.command("remove")
def remove(name: str, config: ConfigFile = None) -> None:
    """Remove a user; the user's sessions end at once."""
    asyncio.run(_remove(load_config(config), name))
    typer.echo(f"Removed {name}.")


@users.command("password")
def password(
    name: str, *, password_stdin: FromStdin = False, generate: Generate = False, config: ConfigFile = None
) -> None:
    """Give a user another password; the user's sessions end at once."""
    loaded = load_config(config)
    asyncio.run(_set_password(loaded, name, _password(from_stdin=password_stdin, generate=generate)))
    typer.echo(f"Changed the password of {name}.")


def read_pairs(pairs: list[str]) -> dict[Section, Level]:
    """Read `caisse=write` pairs, all mistakes told at once."""
    from recyclic.core.permissions import Level, Section  # noqa: PLC0415 - keeps other commands fast
    from recyclic.nearest import nearest  # noqa: PLC0415

    granted, wrong = {}, []
    for pair in pairs:
        section, _, level = pair.partition("=")
        if section not in set(Section):
            wrong.append(f"{section!r} is no section: {nearest(section, [str(one) for one in Section])}")
        elif level not in set(Level):
            wrong.append(f"{level!r} is no level: {nearest(level, [str(one) for one in Level])}")
        else:
            granted[Section(section)] = Level(level)
    if wrong:
        raise typer.BadParameter("; ".join(wrong))
    return granted


def _password(*, from_stdin: bool, generate: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if generate or not sys.stdin.isatty():
        made = secrets.token_urlsafe(12)
        typer.echo(f"Password (shown this once): {made}")
        return made
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


async def _add(config: Config, name: str, password: str, granted: dict[Section, Level]) -> None:
    async with open_auth(config) as auth:
        await auth.add_user(name, password, granted)


async def _list(config: Config) -> list[User]:
    async with open_auth(config) as auth:
        return await auth.users()


async def _remove(config: Config, name: str) -> None:
    async with open_auth(config) as auth:
        await auth.remove_user(name)


async def _set_password(config: Config, name: str, password: str) -> None:
    async with open_auth(config) as auth:
        await auth.set_password(name, password)
