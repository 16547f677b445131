"""RedisChronicle: what was, read back from the streams; replayed to one group, or restored from a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recyclic.core.events import ledger_scripts, replies
from recyclic.core.events.entries import Entry, Pair, as_number
from recyclic.core.events.keys import STREAM, copies_key, dead_key, replays_key
from recyclic.core.events.standing import Begun, Restored

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from recyclic.core.events.wire import Command
    from recyclic.core.redis_cluster import ClusterClient

FIELDS = 3500
"""Fields of the largest entry that a script can write."""


class RedisChronicle(ABC):
    """Built on the primitives of its other halves: commands of which none may fail, and scripts in one round trip."""

    client: Redis | ClusterClient

    @abstractmethod
    async def _run(self, doing: str, calls: Sequence[Command]) -> list[Any]: ...

    @abstractmethod
    async def _eval(self, doing: str, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]: ...

    @abstractmethod
    def _grown(self, event: str) -> None: ...

    async def history(self, event: str, start: str, end: str, limit: int) -> tuple[str, list[Entry]]:
        """See Ledger."""
        key = STREAM + event
        first, rows = await self._run(
            "read history",
            [(key, ("XRANGE", key, "-", "+", "COUNT", 1)), (key, ("XRANGE", key, start, end, "COUNT", limit))],
        )
        entries = [Entry(entry_id.decode(), row) for entry_id, row in rows]
        return (first[0][0].decode() if first else ""), entries

    async def begin_replay(self, pair: Pair, before: str, end: str, asked: Mapping[str, str]) -> Begun:
        """See Ledger."""
        event, group = pair
        args = (group, before, end, *(part for item in asked.items() for part in item))
        keys = (STREAM + event, replays_key(event))
        [reply] = await self._eval("begin a replay", [(ledger_scripts.BEGIN_REPLAY, keys, args)])
        return Begun(replies.parsed(reply))

    async def replay(self, pair: Pair, position: str, reached: str, entry_ids: Sequence[str]) -> int | None:
        """See Ledger."""
        event, group = pair
        keys = (STREAM + event, replays_key(event), copies_key(event))
        args = (group, position, reached, *entry_ids)
        [reply] = await self._eval("replay", [(ledger_scripts.REPLAY, keys, args)])
        sent = int(replies.parsed(reply))
        if sent > 0:
            self._grown(event)
        return None if sent < 0 else sent

    async def end_replay(self, pair: Pair) -> bool:
        """See Ledger."""
        call = (ledger_scripts.END_REPLAY, (replays_key(pair[0]),), (pair[1],))
        [reply] = await self._eval("end a replay", [call])
        return bool(replies.parsed(reply))

    async def send_copies(self, pair: Pair, entries: Sequence[Mapping[bytes, bytes]]) -> int:
        """See Ledger."""
        event, group = pair
        keys = (STREAM + event, copies_key(event))
        calls = [
            (ledger_scripts.SEND_COPY, keys, (group, *words({**fields, b"targetgroup": group.encode()})))
            for fields in entries
        ]
        sent = sum(replies.parsed(reply) for reply in await self._eval("send copies", calls))
        if sent:
            self._grown(event)
        return int(sent)

    async def restore(self, event: str, entries: Sequence[Entry], *, group: str | None = None) -> list[Restored]:
        """See Ledger."""
        key, same = (STREAM + event, b"id") if group is None else (dead_key((event, group)), b"entry")
        calls = []
        for entry in entries:
            fields = entry.fields or {}
            name = same if same in fields else next(iter(fields))
            calls.append((ledger_scripts.RESTORE, (key,), (entry.id, name, *words(fields))))
        found = [Restored(replies.parsed(reply)) for reply in await self._eval("restore entries", calls)]
        if group is None and any(found):
            self._grown(event)
        return found


def words(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """Return names and values, as a command takes them."""
    return [part for item in fields.items() for part in item]


def preceding(entry_id: str) -> str:
    """Return the id before an entry's: a read after it begins with the entry."""
    milliseconds, sequence = as_number(entry_id)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{milliseconds - 1}-{2**64 - 1}" if milliseconds else "0-0"
