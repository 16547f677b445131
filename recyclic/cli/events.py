"""`recyclic events`: the streams and their groups. Dead letters and history have files of their own beside this one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from recyclic.cli import events_dead, events_history, events_journal
from recyclic.cli.events_options import AsJson, OfEvent, open_streams
from recyclic.cli.options import ConfigFile, load_config
from recyclic.errors import BusError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from recyclic.core.events.standing import StreamState


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    group = typer.Typer(no_args_is_help=True, help="Look at the bus, decide about dead letters, replay history.")
    group.command("list")(list_events)
    events_dead.register(group)
    events_history.register(group)
    events_journal.register(group)
    group.command("forget")(forget)
    app.add_typer(group, name="events")


def list_events(*, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List every event's stream with its groups: what is unread, pending, waiting for a retry, or dead.

    `unacked from` is the oldest entry that the group has not acked: nothing from there on is trimmed.
    """

    async def read() -> list[StreamState]:
        async with open_streams(config) as streams:
            return await streams.events()

    states = asyncio.run(read())
    rows = [row for state in states for row in _rows(state)]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    columns = ("event", "entries", "group", "unread", "pending", "retrying", "dead", "unacked_from")
    table = Table(*(column.replace("_", " ") for column in columns))
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    console = Console(highlight=False)
    console.print(table if rows else "There is no event yet.")
    for state in states:
        for replay in state.replays.values():
            console.print(
                f"{state.event}: a replay to {replay.group} stands at {replay.position} of {replay.end}, "
                f"{replay.sent} sent; it runs, or goes on with `recyclic events replay --resume`",
                markup=False,
                soft_wrap=True,
            )


def forget(
    group: Annotated[str, typer.Argument(help="The consumer group: of a module that was disabled for good.")],
    *,
    event: OfEvent = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Forget a consumer group: what it has not read or acked, its retries and its dead letters are lost.

    Until then the streams keep what it has not acked. Refused for the group of an enabled module.
    """
    from recyclic.core.events.standing import Backlog  # noqa: PLC0415 - keeps other commands fast

    async def find() -> list[tuple[str, Backlog]]:
        async with open_streams(config) as streams:
            states = [state for state in await streams.events() if event in (None, state.event)]
            return [(state.event, state.groups[group]) for state in states if group in state.groups]

    async def destroy(names: list[str]) -> int:
        async with open_streams(config) as streams:
            return sum([await streams.forget((name, group)) for name in names])

    found = asyncio.run(find())
    if not found:
        what = f"there is no group {group!r}" + (f" of {event}" if event else "")
        raise BusError(Problem(what, "recyclic events forget", "`recyclic events list` shows the groups"))
    _refuse_enabled(group, [name for name, _ in found], config)
    losses = [
        {"event": name, "unread": lost.unread, "pending": lost.pending, "dead": lost.dead} for name, lost in found
    ]
    if not as_json:
        for loss in losses:
            typer.echo(
                f"{loss['event']}: {loss['unread']} unread, {loss['pending']} pending, {loss['dead']} dead letters"
            )
    if not yes:
        typer.confirm(f"Forget {group}, and lose these events for it?", abort=True, err=as_json)
    done = asyncio.run(destroy([name for name, _ in found]))
    typer.echo(json.dumps({"group": group, "forgotten": losses}, indent=2) if as_json else f"{done} forgotten")


def _refuse_enabled(group: str, events: list[str], config: Path | None) -> None:
    """Raise BusError where an enabled module reads for the group: its host would create it again, and get all anew."""
    from recyclic.core.manifest import check_manifest  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.module_source import discover  # noqa: PLC0415 - keeps other commands fast

    loaded = load_config(config)
    sources, problems = discover(loaded), []
    for module_id in loaded.modules.enabled:
        source = sources.get(module_id)
        manifest = check_manifest(source.manifest_path, module_id)[0] if source else None
        if manifest is None or not (group == manifest.events.group or group.startswith(f"{manifest.events.group}.")):
            continue
        problems += [
            Problem(f"{module_id} is enabled and consumes it", f"{name}/{group}", "disable the module first")
            for name in events
            if name in manifest.events.consumes
        ]
    if problems:
        raise BusError(problems)


def _rows(state: StreamState) -> list[dict[str, Any]]:
    rows = [
        {
            "event": state.event,
            "entries": state.length,
            "group": group,
            "unread": found.unread,
            "pending": found.pending,
            "retrying": found.retrying,
            "dead": found.dead,
            "unacked_from": found.oldest_unacked,
        }
        for group, found in state.groups.items()
    ]
    nobody = {"group": "", "unread": 0, "pending": 0, "retrying": 0, "dead": 0, "unacked_from": None}
    return rows or [{"event": state.event, "entries": state.length, **nobody}]
