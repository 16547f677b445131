"""What the commands of `recyclic events` share: options, ages and times, and the streams of an installation."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recyclic.cli.options import load_config
from recyclic.errors import BusError, Problem

if TYPE_CHECKING:
    from recyclic.core.events.streams import RedisStreams

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
OfEvent = Annotated[str | None, typer.Option("--event", help="Only this event's.")]
OfGroup = Annotated[str | None, typer.Option("--group", help="Only this consumer group's.")]
Since = Annotated[str | None, typer.Option("--since", help="Events that happened at this time (ISO 8601) or later.")]
Until = Annotated[str | None, typer.Option("--until", help="Events that happened before this time.")]
FromId = Annotated[str | None, typer.Option("--from-id", help="From this entry id on.")]
ToId = Annotated[str | None, typer.Option("--to-id", help="Up to this entry id.")]
Rate = Annotated[float, typer.Option("--rate", min=0, help="Events a second; 0: as fast as possible.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


def seconds(age: str | None) -> float | None:
    """Read an age as users write it: `90`, `30m`, `2h`, `7d`."""
    if age is None:
        return None
    found = _AGE.fullmatch(age.strip().lower())
    if found is None:
        raise BusError(Problem("this is no age", age, "write for example 30m, 2h or 7d"))
    return float(found[1]) * _UNITS[found[2]]


@asynccontextmanager
async def open_streams(config: Path | None) -> AsyncIterator[RedisStreams]:
    """Open the streams of the installation that the configuration names."""
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
