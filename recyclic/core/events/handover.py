"""Handover: how the outbox's events come into their streams, and how it is found out that a server has lost some.

Beside each stream stands a note, `outbox:{events:<event>}`: the id of the last entry that a relay appended. It is
written in the same atomic step as the entries, so whatever takes entries away takes their note along: a failover to a
replica that lagged, a restart from an old file, FLUSHALL, another server at the same address. The database knows the
newest entry whose append was confirmed. A note before it says that the server has lost what came after the note.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recyclic.core.events import replies
from recyclic.core.events.entries import as_number
from recyclic.core.events.keys import STREAM
from recyclic.core.events.stream_order import BEFORE

NOTHING = "0-0"
"""The note of a server that has none."""

# KEYS: stream, note; ARGV: newest confirmed entry, then for each entry the number of its words and the words
# → {note, ids}; no ids where the note lies before the newest confirmed entry. All are appended, or none: short memory
# and a full disk refuse the first XADD.
HAND_OVER = (
    BEFORE
    + """
local note, newest = redis.call('GET', KEYS[2]) or '0-0', '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do if info[i] == 'last-generated-id' then newest = info[i + 1] end end
end
if before(newest, note) then note = '0-0' end
if before(note, ARGV[1]) then return {note, {}} end
local ids, i = {}, 2
while i <= #ARGV do
  local words = tonumber(ARGV[i])
  ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', unpack(ARGV, i + 1, i + words))
  i = i + words + 1
end
if #ids > 0 then redis.call('SET', KEYS[2], ids[#ids]) end
return {note, ids}
"""
)


@dataclass(frozen=True, slots=True)
class HandOver:
    """What became of a hand-over. `note` is the last entry of the outbox's that the server knew of before it."""

    note: str
    ids: tuple[str, ...]


def has_lost(note: str, confirmed: str) -> bool:
    """Return whether a server with this note has lost events that the outbox had sent up to `confirmed`."""
    return as_number(note) < as_number(confirmed)


class RedisHandover(ABC):
    """The outbox's part of RedisStreams."""

    @abstractmethod
    async def _eval(self, doing: str, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]: ...

    @abstractmethod
    def _grown(self, event: str) -> None: ...

    async def hand_over(self, event: str, entries: Sequence[Mapping[str, bytes]], confirmed: str) -> HandOver:
        """See Streams."""
        words: list[Any] = [confirmed]
        for fields in entries:
            words.append(2 * len(fields))
            for item in fields.items():
                words += item
        key = STREAM + event
        [reply] = await self._eval(f"append to {key}", [(HAND_OVER, (key, f"outbox:{{{key}}}"), words)])
        if isinstance(reply, Exception):
            raise replies.failed(reply, f"append to {key}") from reply
        note, ids = reply
        if ids:
            self._grown(event)
        return HandOver(note.decode(), tuple(entry_id.decode() for entry_id in ids))

    async def handed_over(self, event: str) -> str:
        """See Streams."""
        return (await self.hand_over(event, (), NOTHING)).note
