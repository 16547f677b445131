"""`recyclic events dead|show|requeue|drop`: what no handler will see again until somebody decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from recyclic.cli.events_options import AsJson, OfEvent, OfGroup, open_streams, seconds
from recyclic.cli.options import ConfigFile
from recyclic.errors import BusError, Problem

if TYPE_CHECKING:
    from recyclic.core.events.dead_letters import DeadLetters, Decided, Which
    from recyclic.core.events.entries import DeadLetter

Letters = Annotated[list[str] | None, typer.Argument(help="Dead letters as `recyclic events dead` names them.")]
All = Annotated[bool, typer.Option("--all", help="All of them, or all that the filters name.")]
OfError = Annotated[str | None, typer.Option("--error", help="Only those with this text in their error or reason.")]
Older = Annotated[str | None, typer.Option("--older-than", help="Only those dead for longer: 30m, 2h, 7d.")]
Younger = Annotated[str | None, typer.Option("--younger-than", help="Only those dead for less.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(group: typer.Typer) -> None:
    """Add the commands to `recyclic events`."""
    for command in (dead, show, requeue, drop):
        group.command(command.__name__)(command)


def dead(
    *,
    event: OfEvent = None,
    group: OfGroup = None,
    error: OfError = None,
    older_than: Older = None,
    younger_than: Younger = None,
    traceback: Annotated[bool, typer.Option("--traceback", help="With each error's traceback.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the dead letters: what no handler will see again until it is requeued."""
    from recyclic.core.events.dead_letters import described  # noqa: PLC0415 - keeps other commands fast

    letters = asyncio.run(_letters(config, _which(event, group, error, older_than, younger_than)))
    if as_json:
        typer.echo(json.dumps([described(letter) for letter in letters], ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    for letter in letters:
        console.print(
            f"{letter.name}  {_time(letter.dead_at)}  attempts: {letter.attempts}", markup=False, style="bold"
        )
        console.print(f"    {letter.reason}", markup=False)
        if letter.error and letter.error != letter.reason:
            console.print(f"    {letter.error}", markup=False)
        if traceback and letter.traceback:
            console.print(letter.traceback, markup=False, style="dim")
    console.print(f"{len(letters)} dead letter{'' if len(letters) == 1 else 's'}", markup=False)


def show(
    letter: Annotated[str, typer.Argument(help="A dead letter as `recyclic events dead` names it.")],
    *,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show one dead letter whole: payload, envelope, error, traceback, attempts and times."""
    from recyclic.core.events.dead_letters import described  # noqa: PLC0415 - keeps other commands fast

    async def read() -> DeadLetter:
        async with _box(config) as box:
            return await box.named(letter)

    whole = described(asyncio.run(read()))
    if as_json:
        typer.echo(json.dumps(whole, ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(whole["name"], markup=False, style="bold")
    lines = {
        "reason": whole["reason"],
        "error": whole["error"],
        "error before": whole["previous_error"],
        "attempts": whole["attempts"],
        "first failed": _time(whole["first_failed_at"]),
        "dead since": _time(whole["dead_at"]),
        "entry": whole["entry"],
        "last consumer": whole["consumer"],
        **whole["fields"],
    }
    for name, value in lines.items():
        if value not in ("", None):
            console.print(f"{name + ':':<18}{value}", markup=False)
    if whole["traceback"]:
        console.print(f"\n{whole['traceback'].rstrip()}", markup=False, style="dim")


def requeue(  # noqa: PLR0913 - one parameter an option
    letters: Letters = None,
    *,
    everything: All = False,
    event: OfEvent = None,
    group: OfGroup = None,
    error: OfError = None,
    older_than: Older = None,
    younger_than: Younger = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Give dead letters back to their group, due now, with no attempt counted."""
    chosen = _chosen(letters, everything, _which(event, group, error, older_than, younger_than))
    decided = asyncio.run(_decide(config, chosen, requeueing=True))
    _tell(decided, "requeued", as_json=as_json)


def drop(  # noqa: PLR0913 - one parameter an option
    letters: Letters = None,
    *,
    everything: All = False,
    event: OfEvent = None,
    group: OfGroup = None,
    error: OfError = None,
    older_than: Older = None,
    younger_than: Younger = None,
    yes: Yes = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Delete dead letters for good."""
    which = _which(event, group, error, older_than, younger_than)
    chosen = _chosen(letters, everything, which)
    if not yes:
        what = "all that match" if everything else f"{len(letters or [])}"
        typer.confirm(f"Delete {what} for good?", abort=True, err=as_json)
    decided = asyncio.run(_decide(config, chosen, requeueing=False))
    _tell(decided, "dropped", as_json=as_json)


@asynccontextmanager
async def _box(config: Path | None) -> AsyncIterator[DeadLetters]:
    from recyclic.core.clock import SystemClock  # noqa: PLC0415 - keeps other commands fast
    from recyclic.core.events.dead_letters import DeadLetters  # noqa: PLC0415 - keeps other commands fast

    async with open_streams(config) as streams:
        yield DeadLetters(streams, SystemClock())


async def _letters(config: Path | None, which: Which) -> list[DeadLetter]:
    async with _box(config) as box:
        return [letter async for letter in box.all(which=which)]


async def _decide(config: Path | None, chosen: list[str] | Which, *, requeueing: bool) -> Decided:
    """Requeue or drop the dead letters named, or all that match; all names must exist before anything is done."""
    async with _box(config) as box:
        if not isinstance(chosen, list):
            return await (box.requeue_all(chosen) if requeueing else box.drop_all(chosen))
        found, problems = [], list[Problem]()
        for name in dict.fromkeys(chosen):
            try:
                found.append(await box.named(name))
            except BusError as error:
                problems += error.problems
        if problems:
            raise BusError(problems)
        return await (box.requeue_each(found) if requeueing else box.drop_each(found))


def _which(
    event: str | None, group: str | None, error: str | None, older_than: str | None, younger_than: str | None
) -> Which:
    from recyclic.core.events.dead_letters import Which  # noqa: PLC0415 - keeps other commands fast

    older, younger = seconds(older_than), seconds(younger_than)
    return Which(event=event, group=group, error=error, older_than=older, younger_than=younger)


def _chosen(names: list[str] | None, everything: bool, which: Which) -> list[str] | Which:  # noqa: FBT001 - a flag
    if bool(names) == everything:
        what = "name dead letters, or say --all"
        raise BusError(Problem(what, "recyclic events", "`recyclic events dead` lists them"))
    return names or which


def _tell(decided: Decided, done: str, *, as_json: bool) -> None:
    """Say what was done, and end with an error where something was in the way."""
    if as_json:
        problems = [str(problem) for problem in decided.problems]
        typer.echo(json.dumps({done: decided.done, "problems": problems}, ensure_ascii=False, indent=2))
    else:
        typer.echo(f"{decided.done} {done}")
    if decided.problems:
        raise BusError(decided.problems)


def _time(seconds_: float) -> str:
    return datetime.fromtimestamp(seconds_, UTC).isoformat(timespec="seconds") if seconds_ else ""
