"""`recyclic events journal`: what a host of the test kit wrote down, also where its process was killed."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recyclic.errors import BusError, Problem

if TYPE_CHECKING:
    from recyclic.testing.journal_file import ReadJournal


class Format(StrEnum):
    """How the journal is printed."""

    TEXT = "text"
    JSON = "json"


def register(group: typer.Typer) -> None:
    """Add the command to `recyclic events`."""
    group.command("journal")(journal)


def journal(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A journal.jsonl of the test kit.")],
    *,
    output: Annotated[Format, typer.Option("--format", help="The timeline, or every record as JSON.")] = Format.TEXT,
) -> None:
    """Print the journal of a host under test: the timeline, and by number every line that cannot be read.

    Ends with 0, also where the last line is torn because the process died while it wrote; with 1 where others are
    damaged.
    """
    from recyclic.testing.errors import KitError  # noqa: PLC0415 - other commands do not need the kit
    from recyclic.testing.journal_file import read_journal  # noqa: PLC0415 - as above

    try:
        found = read_journal(file)
    except KitError as error:
        raise BusError(Problem(str(error))) from error
    typer.echo(_as_json(found) if output is Format.JSON else _as_text(file, found))
    if any(not damage.torn for damage in found.damages):
        raise typer.Exit(1)


def _as_text(file: Path, found: ReadJournal) -> str:
    from recyclic.testing.timeline import timeline  # noqa: PLC0415 - as above

    heading = found.heading
    whose = [heading["of"]] if heading.get("of") else []
    where = [f"on {heading['backend']}"] if heading.get("backend") else []
    began = [f"began {heading['began']}"] if heading.get("began") else []
    lines = [f"{', '.join([f'journal of {whose[0]}' if whose else f'journal {file}', *where, *began])}:"]
    lines += timeline(found.records) or ["  nothing happened"]
    if not found.ended:
        lines.append("the host did not end: its process was killed, or still runs")
    if found.damages:
        lines.append("damaged:")
        lines += [f"  {damage}" for damage in found.damages]
    if heading.get("rerun"):
        lines.append(f"rerun: {heading['rerun']}")
    return "\n".join(lines)


def _as_json(found: ReadJournal) -> str:
    from recyclic.testing.journal_file import as_json  # noqa: PLC0415 - as above

    values = {
        "heading": found.heading,
        "ended": found.ended,
        "records": [as_json(record) for record in found.records],
        "damaged": [{"line": one.line, "problem": one.problem, "torn": one.torn} for one in found.damages],
    }
    return json.dumps(values, indent=2)
