"""What Redis answers, read into what the port hands over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from recyclic.core.events.entries import Entry, GroupState, Pair, Pending, Verdict, as_number
from recyclic.errors import BusError, BusFullError, Problem


@asynccontextmanager
async def speaking(doing: str) -> AsyncIterator[None]:
    """Turn every error of Redis or of the way to it into a BusError that says what was being done."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise failed(error, doing) from error


def failed(error: Exception, doing: str) -> BusError:
    """Return the BusError for an error of Redis or of the way to it; a BusFullError where it takes no writes."""
    full = isinstance(error, OutOfMemoryError) or str(error).startswith(("MISCONF", "OOM"))
    return (BusFullError if full else BusError)(_problem(error, doing))


def flat(reply: Sequence[Any]) -> dict[Any, Any]:
    """Read names and values that alternate."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _problem(error: Exception, doing: str) -> Problem:
    return Problem(f"cannot {doing}: {type(error).__name__}: {error}", "redis", "check that Redis runs and is not full")


_T = TypeVar("_T")
_MISSING = ("NOGROUP", "no such key", "requires the key to exist")


def unless_missing(reply: Any, parse: Callable[[Any], _T]) -> _T | None:
    """Parse a reply; None where the stream or the group is missing. Other errors are raised as BusError."""
    if isinstance(reply, ResponseError) and any(text in str(reply) for text in _MISSING):
        return None
    if isinstance(reply, Exception):
        raise failed(reply, "use a group") from reply
    return parse(reply)


def parsed(reply: Any) -> Any:
    """Return a script's reply; its error is raised as BusError."""
    if isinstance(reply, Exception):
        raise BusError(_problem(reply, "use a stream")) from reply
    return reply


def verdict(reply: Any) -> Verdict:
    """Read the reply of a fenced script about one entry."""
    return unless_missing(reply, Verdict) or Verdict.GONE


def read(reply: Any) -> list[Entry]:
    """Read the reply of XREADGROUP over one stream."""
    return [Entry(entry_id.decode(), row) for _, rows in reply or () for entry_id, row in rows]


def entries(rows: Iterable[Any]) -> list[Entry]:
    """Read entries as the scripts return them."""
    return [Entry(entry_id.decode(), row or None, int(attempts)) for entry_id, attempts, row in rows]


def consumers(rows: Iterable[Sequence[Any]]) -> dict[str, int]:
    """Read XINFO CONSUMERS: each consumer with the number of entries it holds."""
    return {row[b"name"].decode(): int(row[b"pending"]) for row in map(flat, rows)}


def state(stream: tuple[Any, Any], pair: Pair, pending: Any, retry: Any, attempts: Any) -> GroupState:
    """Read the replies of a snapshot that are about one group."""
    info, groups = stream
    group = next((row for row in map(flat, groups or ()) if row[b"name"].decode() == pair[1]), None)
    rows = unless_missing(pending, list)
    if info is None or group is None or rows is None:
        return GroupState(False, "0-0", "0-0", info is not None and bool(info[b"length"]), ())
    last, delivered = info[b"last-entry"], group[b"last-delivered-id"].decode()
    newest = last[0].decode() if last else "0-0"
    due = {entry_id.decode(): float(score) for entry_id, score in flat(retry).items()}
    ended_badly = flat(attempts)
    return GroupState(
        exists=True,
        last_generated=info[b"last-generated-id"].decode(),
        last_delivered=delivered,
        unread=as_number(newest) > as_number(delivered),
        pending=tuple(
            Pending(entry_id.decode(), consumer.decode(), int(ended_badly.get(entry_id, 0)), due.get(entry_id.decode()))
            for entry_id, consumer, *_ in rows
        ),
    )
