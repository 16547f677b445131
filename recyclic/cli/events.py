"""`recyclic events`: the streams and their groups, and what to do with dead letters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from recyclic.cli.options import ConfigFile, load_config
from recyclic.errors import BusError, EventError, Problem

if TYPE_CHECKING:
    from recyclic.core.events.dead_letters import DeadLetters
    from recyclic.core.events.entries import DeadLetter, StreamState
    from recyclic.core.events.streams import RedisStreams

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
OfEvent = Annotated[str | None, typer.Option("--event", help="Only this event's.")]
OfGroup = Annotated[str | None, typer.Option("--group", help="Only this consumer group's.")]
Letters = Annotated[list[str] | None, typer.Argument(help="Dead letters as `recyclic events dead` names them.")]
All = Annotated[bool, typer.Option("--all", help="All of them, or all that --event and --group name.")]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    group = typer.Typer(no_args_is_help=True, help="Look at the bus, and decide about dead letters.")
    group.command("list")(list_events)
    group.command("dead")(dead)
    group.command("requeue")(requeue)
    group.command("drop")(drop)
    app.add_typer(group, name="events")


def list_events(*, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List every event's stream with its groups: what is unread, pending, waiting for a retry, or dead."""

    async def read() -> list[StreamState]:
        async with _streams(config) as streams:
            return await streams.events()

    rows = [row for state in asyncio.run(read()) for row in _rows(state)]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("event", "entries", "group", "unread", "pending", "retrying", "dead")
    for row in rows:
        cells = (str(row[key]) for key in ("event", "entries", "group", "unread", "pending", "retrying", "dead"))
        table.add_row(*cells)
    Console().print(table if rows else "There is no event yet.")


def dead(
    *,
    event: OfEvent = None,
    group: OfGroup = None,
    traceback: Annotated[bool, typer.Option("--traceback", help="With each error's traceback.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the dead letters: what no handler will see again until it is requeued."""
    letters = asyncio.run(_letters(config, event, group))
    if as_json:
        typer.echo(json.dumps([_described(letter) for letter in letters], ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    for letter in letters:
        at = datetime.fromtimestamp(letter.dead_at, UTC).isoformat(timespec="seconds")
        console.print(f"{_name(letter)}  {at}  attempts: {letter.attempts}", markup=False, style="bold")
        console.print(f"    {letter.reason}", markup=False)
        if letter.error and letter.error != letter.reason:
            console.print(f"    {letter.error}", markup=False)
        if traceback and letter.traceback:
            console.print(letter.traceback, markup=False, style="dim")
    console.print(f"{len(letters)} dead letter{'' if len(letters) == 1 else 's'}", markup=False)


def requeue(
    letters: Letters = None,
    *,
    everything: All = False,
    event: OfEvent = None,
    group: OfGroup = None,
    config: ConfigFile = None,
) -> None:
    """Give dead letters back to their group, due now, with no attempt counted."""
    chosen = asyncio.run(_decide(config, letters or [], everything, event, group, lambda box: box.requeue))
    typer.echo(f"{chosen} requeued")


def drop(
    letters: Letters = None,
    *,
    everything: All = False,
    event: OfEvent = None,
    group: OfGroup = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigFile = None,
) -> None:
    """Delete dead letters for good."""
    if not yes:
        what = "all that match" if everything else f"{len(letters or [])}"
        typer.confirm(f"Delete {what} for good?", abort=True)
    chosen = asyncio.run(_decide(config, letters or [], everything, event, group, lambda box: box.drop))
    typer.echo(f"{chosen} dropped")


@asynccontextmanager
async def _streams(config: Path | None) -> AsyncIterator[RedisStreams]:
    from recyclic.core.events.streams import RedisStreams  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.observability import configure_logging  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.redis import open_redis  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    configure_logging(loaded.log)
    server = await open_redis(loaded)
    streams = RedisStreams(server.client)
    try:
        yield streams
    finally:
        await streams.close()
        await server.close()


@asynccontextmanager
async def _box(config: Path | None) -> AsyncIterator[DeadLetters]:
    from recyclic.core.clock import SystemClock  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.events.dead_letters import DeadLetters  # noqa: PLC0415 - keeps other commands fast

    async with _streams(config) as streams:
        yield DeadLetters(streams, SystemClock())


async def _letters(config: Path | None, event: str | None, group: str | None) -> list[DeadLetter]:
    async with _box(config) as box:
        return [letter async for letter in box.all(event, group)]


async def _decide(
    config: Path | None,
    names: list[str],
    everything: bool,  # noqa: FBT001 - a flag of the command line
    event: str | None,
    group: str | None,
    action: Callable[[DeadLetters], Callable[[DeadLetter], Awaitable[bool]]],
) -> int:
    """Do `action` to the dead letters named, or to all that match; all names must exist before anything is done."""
    if bool(names) == everything:
        raise BusError(
            Problem("name dead letters, or say --all", "recyclic events", "`recyclic events dead` lists them")
        )
    async with _box(config) as box:
        found = {_name(letter): letter async for letter in box.all(event, group)}
        unknown = [name for name in names if name not in found]
        if unknown:
            raise BusError(
                [Problem("there is no such dead letter", name, "`recyclic events dead` lists them") for name in unknown]
            )
        chosen = [found[name] for name in names] if names else list(found.values())
        return sum([await action(box)(letter) for letter in chosen])


def _name(letter: DeadLetter) -> str:
    return f"{letter.event}/{letter.group}/{letter.id}"


def _rows(state: StreamState) -> list[dict[str, Any]]:
    rows = [
        {
            "event": state.event,
            "entries": state.length,
            "group": group,
            "unread": found.unread,
            "pending": len(found.pending),
            "retrying": sum(pending.due is not None for pending in found.pending),
            "dead": state.dead[group],
        }
        for (_, group), found in state.groups.items()
    ]
    nobody = {"group": "", "unread": False, "pending": 0, "retrying": 0, "dead": 0}
    return rows or [{"event": state.event, "entries": state.length, **nobody}]


def _described(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as JSON can hold it; bytes that are no text are shown as escapes."""
    try:
        data: Any = dict(letter.envelope.data)
    except EventError:
        data = None
    return {
        "name": _name(letter),
        "event": letter.event,
        "group": letter.group,
        "entry": letter.entry_id,
        "reason": letter.reason,
        "error": letter.error,
        "traceback": letter.traceback,
        "attempts": letter.attempts,
        "first_failed_at": letter.first_failed_at,
        "dead_at": letter.dead_at,
        "data": data,
        "fields": {
            key.decode(errors="backslashreplace"): value.decode(errors="backslashreplace")
            for key, value in letter.fields.items()
        },
    }
