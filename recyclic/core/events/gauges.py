"""Gauges: what Redis says about each event at one moment, for metrics and health."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from recyclic.core.events import replies
from recyclic.core.events.keys import STREAM

if TYPE_CHECKING:
    from recyclic.core.events.wire import Command, Wire

PROBE = "recyclic:probe"
"""A key that is written to learn whether the server takes writes; it passes away by itself."""

# KEYS: stream; ARGV: what the keys of dead letters begin with → {length, {group, unread, pending, oldest, dead}...}
# Where the server cannot tell how many are unread (entries were deleted), they are counted up to a thousand.
GAUGES = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {0} end
local out = {redis.call('XLEN', KEYS[1])}
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
  local unread, oldest = 0, ''
  local after = redis.call('XRANGE', KEYS[1], '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  if after then
    oldest = after[1]
    unread = tonumber(group['lag']
      or #redis.call('XRANGE', KEYS[1], '(' .. group['last-delivered-id'], '+', 'COUNT', 1000))
  end
  if tonumber(group['pending']) > 0 then oldest = redis.call('XPENDING', KEYS[1], group['name'])[2] end
  local dead = redis.call('XLEN', ARGV[1] .. group['name'])
  out[#out + 1] = {group['name'], unread, group['pending'], oldest, dead}
end
return out
"""


@dataclass(frozen=True, slots=True)
class GroupGauge:
    """How far one group is. `oldest` is when the oldest entry that it has not acked was appended, None without one."""

    unread: int
    pending: int
    dead_letters: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class EventGauge:
    """One event's stream and its groups, those of disabled modules included."""

    length: int
    groups: Mapping[str, GroupGauge]

    @property
    def dead_letters(self) -> int:
        """Return how many dead letters of all groups wait for a decision."""
        return sum(group.dead_letters for group in self.groups.values())


@dataclass(frozen=True, slots=True)
class Persistence:
    """Whether the server keeps an append-only file, and whether it can write it; None where it does not say."""

    append_only: bool | None
    failing: bool = False


class RedisGauges(ABC):
    """The part of RedisStreams that metrics and health ask."""

    blocking: bool
    _wire: Wire

    @abstractmethod
    async def _eval(self, doing: str, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]: ...

    @abstractmethod
    async def _run(self, doing: str, calls: Sequence[Command]) -> list[Any]: ...

    async def gauges(self, events: Iterable[str]) -> dict[str, EventGauge]:
        """See Streams."""
        wanted = list(events)
        calls = [(GAUGES, (STREAM + event,), (f"dead:{{{STREAM}{event}}}:",)) for event in wanted]
        answers = await self._eval("read gauges", calls)
        return {event: _gauge(reply) for event, reply in zip(wanted, answers, strict=True)}

    async def probe(self) -> None:
        """See Streams."""
        await self._run("write", [(PROBE, ("SET", PROBE, "1", "EX", 60))])

    async def persistence(self) -> Persistence:
        """See Streams."""
        if not self.blocking:
            return Persistence(None)  # the in-process fake
        async with replies.speaking("ask for the servers' state"):
            answers = await self._wire.everywhere(("INFO", "persistence"))
            for reply in answers:
                if isinstance(reply, ResponseError):
                    return Persistence(None)  # this user may not ask
                if isinstance(reply, Exception):
                    raise reply
        servers = [dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line) for reply in answers]
        enabled = [told.get("aof_enabled") for told in servers]
        failing = any(told.get("aof_last_write_status", "ok") != "ok" for told in servers)
        return Persistence(None if None in enabled else all(answer == "1" for answer in enabled), failing)


def _gauge(reply: Any) -> EventGauge:
    if isinstance(reply, Exception):
        raise replies.failed(reply, "read gauges") from reply
    length, *groups = reply
    return EventGauge(
        int(length),
        {
            name.decode(): GroupGauge(int(unread), int(pending), int(dead), _appended_at(oldest))
            for name, unread, pending, oldest, dead in groups
        },
    )


def _appended_at(entry_id: bytes) -> float | None:
    return int(entry_id.partition(b"-")[0]) / 1000 if entry_id else None
