"""`recyclic events export|import|replay`: history to a file, back from it, or to one group again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from recyclic.cli.events_options import (
    AsJson,
    DryRun,
    FromId,
    OfEvent,
    OfGroup,
    Rate,
    Since,
    ToId,
    Until,
    open_streams,
)
from recyclic.cli.options import ConfigFile
from recyclic.errors import BusError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recyclic.core.events.archive import Exported, Imported
    from recyclic.core.events.history import Window
    from recyclic.core.events.replay import Report
    from recyclic.core.events.standing import ReplayState

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def register(group: typer.Typer) -> None:
    """Add the commands to `recyclic events`."""
    group.command("export")(export)
    group.command("import")(import_)
    group.command("replay")(replay)


def export(  # noqa: PLR0913 - one parameter an option
    *,
    event: OfEvent = None,
    since: Since = None,
    until: Until = None,
    from_id: FromId = None,
    to_id: ToId = None,
    dead: Annotated[bool, typer.Option("--dead", help="Export the dead letters instead of the history.")] = False,
    group: OfGroup = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write; else standard output.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Write history as JSON Lines, one event a line as CloudEvents JSON. Standard error tells how much it was."""
    from recyclic.core.clock import SystemClock  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.events.archive import Export  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.events.dead_letters import Which  # noqa: PLC0415 - keeps other commands fast

    if group and not dead:
        what = "history belongs to no group"
        raise BusError(Problem(what, "--group", "say --dead for the group's dead letters, or leave it out"))
    window = _window(since, until, from_id, to_id)

    async def write(file: BinaryIO) -> Exported:
        async with open_streams(config) as streams:
            work = Export(streams, SystemClock())
            lines: AsyncIterator[bytes] = (
                work.dead_letters(Which(event=event, group=group), window) if dead else work.history(window, event)
            )
            async for line in lines:
                file.write(line)
        return work.told

    with _written_whole(output) as file:
        told = asyncio.run(write(file))
    if dead:
        typer.echo(f"{told.dead} dead letters", err=True)
        return
    typer.echo(f"{told.events} events, {told.unreadable} of them unreadable", err=True)
    if told.copies:
        typer.echo(f"{told.copies} copies for one group left out: they are no history", err=True)


def import_(  # noqa: PLR0913 - one parameter an option
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A file that `recyclic events export` wrote.")
    ],
    *,
    event: OfEvent = None,
    since: Since = None,
    until: Until = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Send the events to this group alone, as replayed ones.")
    ] = None,
    rate: Rate = 0.0,
    from_line: Annotated[int, typer.Option("--from-line", min=1, help="Go on at this line.")] = 1,
    skip_damaged: Annotated[bool, typer.Option("--skip-damaged", help="Import although lines are damaged.")] = False,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Read an export back: into the streams, where every group gets what it has not had, or to one group alone.

    The whole file is read first. Where a line is damaged nothing is imported, unless --skip-damaged says so.
    """
    from recyclic.core.clock import SystemClock  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.events.archive import Asked, Import  # noqa: PLC0415 - keeps other commands fast

    asked = Asked(event=event, group=group, window=_window(since, until, None, None), from_line=from_line)
    told: list[Imported] = []

    async def check() -> Imported:
        async with open_streams(config) as streams:
            return Import(streams, SystemClock(), file, asked).check()

    async def run() -> Imported:
        async with open_streams(config) as streams:
            work = Import(streams, SystemClock(), file, asked, rate=rate or None)
            told.append(work.told)
            return await work.run()

    found = asyncio.run(check())
    if dry_run or (found.damages and not skip_damaged):
        _tell_import(found, "to import", as_json=as_json)
        if found.damages:
            _refuse_damaged(found)
        return
    if group is None and not yes:
        what = f"Put {found.restored} entries back, for every group to get"
        typer.confirm(f"{what}?", abort=True, err=as_json)
    done = _interruptible(run(), lambda: f"go on with --from-line {told[0].lines + 1 if told else from_line}")
    _tell_import(done, "imported", as_json=as_json)
    if done.damages:
        _refuse_damaged(done)


def replay(  # noqa: PLR0913 - one parameter an option
    *,
    event: Annotated[str, typer.Option("--event", help="The event to replay.")],
    group: Annotated[str, typer.Option("--group", help="The one consumer group that gets it again.")],
    since: Since = None,
    until: Until = None,
    from_id: FromId = None,
    to_id: ToId = None,
    rate: Rate = 100.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a replay that was interrupted.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give up a replay that was interrupted.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Send an event's history to one group again, marked as replayed, with the ids that it had. No other group notices.

    An interrupted replay goes on with --resume: nothing is left out, and nothing sent twice.
    """
    from recyclic.core.clock import SystemClock  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.events.replay import Replay  # noqa: PLC0415 - keeps other commands fast

    window = _window(since, until, from_id, to_id)
    if sum((resume, abandon, dry_run)) > 1 or ((resume or abandon) and any((since, until, from_id, to_id))):
        what = "these options do not go together"
        raise BusError(Problem(what, "recyclic events replay", "--resume and --abandon know what was asked for"))
    reports: list[Report] = []

    async def run() -> Report | ReplayState:
        async with open_streams(config) as streams:
            work = Replay(streams, SystemClock(), (event, group), rate=rate or None)
            reports.append(work.report)
            if abandon:
                return await work.abandon()
            if dry_run:
                return await work.count(window)
            return await (work.resume() if resume else work.run(window))

    def remedy() -> str:
        sent = f"{reports[0].sent} sent, up to {reports[0].position}; " if reports and reports[0].position else ""
        return f"{sent}go on with --resume, or give it up with --abandon"

    told = _interruptible(run(), remedy)
    if as_json:
        typer.echo(json.dumps(asdict(told), indent=2))
        return
    if abandon:
        typer.echo(f"given up at {told.position}: {told.sent} were sent")
        return
    left_out = [
        *([f"{told.copies} copies of earlier ones left out"] if told.copies else []),
        *([f"{told.unreadable} unreadable ones left out"] if told.unreadable else []),
    ]
    typer.echo(", ".join([f"{told.sent} {'to send' if dry_run else 'sent'}", *left_out]))


def _window(since: str | None, until: str | None, from_id: str | None, to_id: str | None) -> Window:
    from recyclic.core.events.history import Window, first_id, last_id, moment  # noqa: PLC0415 - keeps others fast

    return Window(
        start=first_id(from_id) if from_id else "-",
        end=last_id(to_id) if to_id else "+",
        since=moment(since) if since else None,
        until=moment(until) if until else None,
    )


@contextmanager
def _written_whole(output: Path | None) -> Iterator[BinaryIO]:
    """Open the file to write, which has its name only once it is whole; standard output without a name."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if output.exists():
        raise BusError(Problem("there is such a file already", str(output), "name another"))
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.rename(output)
    except OSError as error:
        raise BusError(Problem(f"the file cannot be written: {error}", str(output))) from error
    finally:
        part.unlink(missing_ok=True)


def _interruptible(work: Coroutine[Any, Any, Any], remedy: Any) -> Any:
    """Run `work`; after Ctrl-C say how to go on."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo(f"interrupted: {remedy()}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BusError as error:
        if error.__cause__ is not None:  # Redis went away in the middle
            typer.echo(f"interrupted: {remedy()}", err=True)
        raise


def _tell_import(told: Imported, done: str, *, as_json: bool) -> None:
    if as_json:
        values = {**asdict(told), "damaged": [str(problem) for problem in told.damaged]}
        typer.echo(json.dumps(values, ensure_ascii=False, indent=2))
        return
    parts = [
        f"{told.restored + told.sent} {done}",
        *([f"{told.there} were there already"] if told.there else []),
        *([f"{told.renumbered} have a new entry id"] if told.renumbered else []),
        *([f"{told.left_out} left out"] if told.left_out else []),
        *([f"{told.damages} damaged"] if told.damages else []),
    ]
    typer.echo(", ".join(parts))


def _refuse_damaged(told: Imported) -> None:
    more = told.damages - len(told.damaged)
    raise BusError([*told.damaged, *([Problem(f"{more} more lines are damaged")] if more else [])])
