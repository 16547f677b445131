"""RedisStreams: the one file that speaks Redis Streams, over redis-py's asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import NoScriptError, ResponseError

from recyclic.core.events import replies, scripts
from recyclic.core.events.bell import Bell
from recyclic.core.events.entries import (
    Ack,
    DeadLetter,
    Entry,
    GroupState,
    Pair,
    Pending,
    Snapshot,
    StreamState,
    Verdict,
    Want,
)
from recyclic.core.events.port import Streams
from recyclic.errors import BusError, Problem

__all__ = [
    "Ack",
    "Bell",
    "DeadLetter",
    "Entry",
    "GroupState",
    "Pair",
    "Pending",
    "RedisStreams",
    "Snapshot",
    "StreamState",
    "Streams",
    "Verdict",
    "Want",
]

BLOCK = 2.0
"""Seconds that the doorbell's read blocks on the server; its socket timeout lies above it."""

APPENDS = 8
"""Appends of one process that are under way at once: each takes a connection of the client's pool."""

HEARTBEATS = "recyclic:heartbeats"
_STREAM = "events:"


class RedisStreams:
    """Streams on a Redis or Valkey server, or with `blocking=False` on an in-process fake, never asked to block.

    `client` must speak `protocol=2`, not decode responses, and belongs to the caller. On a fake, give all the
    transports of one server the same `bell`.
    """

    def __init__(self, client: Redis, *, blocking: bool = True, bell: Bell | None = None) -> None:
        options = client.connection_pool.connection_kwargs
        if options.get("protocol") not in (2, "2") or options.get("decode_responses"):
            raise BusError(
                Problem(
                    "the Redis client speaks another protocol", "RedisStreams", "open it with protocol=2, undecoded"
                )
            )
        self.client = client
        self.blocking = blocking
        self._bell = bell or Bell()
        self._doorbell: Redis | None = None
        self._shas: dict[str, str] = {}
        self._appends = asyncio.Semaphore(APPENDS)

    async def append(self, event: str, fields: Mapping[str, bytes]) -> str:
        """See Streams."""
        async with self._appends, replies.speaking(f"append to {_STREAM}{event}"):
            entry_id = await self._do("XADD", _STREAM + event, "*", *(part for item in fields.items() for part in item))
        self._bell.ring(event)
        return str(entry_id.decode())

    async def ensure_groups(self, pairs: Iterable[Pair]) -> list[Pair]:
        """See Streams."""
        wanted = list(pairs)
        async with replies.speaking("create groups"):
            pipe = self.client.pipeline(transaction=False)
            for event, group in wanted:
                pipe.execute_command("XGROUP", "CREATE", _STREAM + event, group, "0", "MKSTREAM")
            answers = await pipe.execute(raise_on_error=False) if wanted else []
            for reply in answers:
                if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
                    raise reply
        return [pair for pair, reply in zip(wanted, answers, strict=True) if not isinstance(reply, Exception)]

    async def read(self, consumer: str, wants: Sequence[Want]) -> list[list[Entry] | None]:
        """See Streams."""
        async with replies.speaking("read"):
            pipe = self.client.pipeline(transaction=False)
            for (event, group), count in wants:
                pipe.execute_command(
                    "XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", _STREAM + event, ">"
                )
            return [replies.unless_missing(reply, replies.read) for reply in await pipe.execute(raise_on_error=False)]

    async def ack(self, consumer: str, acks: Sequence[Ack]) -> list[list[Verdict]]:
        """See Streams."""
        answers = await self._eval(
            "ack", [(scripts.ACK, _keys(pair), (pair[1], consumer, *entry_ids)) for pair, entry_ids in acks]
        )
        return [
            replies.unless_missing(reply, lambda codes: [Verdict(code) for code in codes])
            or [Verdict.GONE] * len(entry_ids)
            for reply, (_, entry_ids) in zip(answers, acks, strict=True)
        ]

    async def schedule_retry(
        self, pair: Pair, consumer: str, entry_id: str, *, due: float, attempt: int, error: str, now: float
    ) -> Verdict:
        """See Streams."""
        args = (pair[1], consumer, entry_id, repr(due), attempt, error, repr(now))
        [reply] = await self._eval("schedule a retry", [(scripts.SCHEDULE, _keys(pair), args)])
        return replies.verdict(reply)

    async def take_due(self, consumer: str, wants: Sequence[Want], now: float) -> list[list[Entry] | None]:
        """See Streams."""
        calls = [(scripts.TAKE_DUE, _keys(pair), (pair[1], consumer, repr(now), count)) for pair, count in wants]
        return [replies.unless_missing(reply, replies.entries) for reply in await self._eval("take due retries", calls)]

    async def claim(self, pair: Pair, consumer: str, dead: str, *, limit: int, now: float) -> tuple[int, list[Entry]]:
        """See Streams."""
        args = (pair[1], consumer, dead, repr(now), limit)
        [reply] = await self._eval("claim", [(scripts.CLAIM, _keys(pair), args)])
        held, rows = replies.unless_missing(reply, lambda pairs: pairs) or (0, [])
        return int(held), replies.entries(rows)

    async def mine(self, pair: Pair, consumer: str) -> list[Entry] | None:
        """See Streams."""
        start, found = "-", list[Entry]()
        while True:
            [reply] = await self._eval("read own", [(scripts.MINE, _keys(pair), (pair[1], consumer, start, 200))])
            page = replies.unless_missing(reply, lambda pairs: pairs)
            if page is None:
                return None
            last, rows = page
            found += replies.entries(rows)
            if not last:
                return found
            start = f"({last.decode()}"

    async def dead_letter(self, pair: Pair, consumer: str, letter: DeadLetter) -> Verdict:
        """See Streams."""
        args = (pair[1], consumer, letter.entry_id, repr(letter.dead_at), *letter.encode())
        [reply] = await self._eval("write a dead letter", [(scripts.DEAD, (*_keys(pair), _dead_key(pair)), args)])
        return replies.verdict(reply)

    async def leave(self, pairs: Sequence[Pair], consumer: str, now: float) -> int:
        """See Streams."""
        calls = [(scripts.LEAVE, _keys(p), (p[1], consumer, repr(now), scripts.HANDED_BACK)) for p in pairs]
        return sum(replies.unless_missing(reply, int) or 0 for reply in await self._eval("leave", calls))

    async def beat(self, consumer: str) -> dict[str, int]:
        """See Streams."""
        async with replies.speaking("heartbeat"):
            pipe = self.client.pipeline(transaction=False)
            pipe.execute_command("HINCRBY", HEARTBEATS, consumer, 1)
            pipe.execute_command("HGETALL", HEARTBEATS)
            _, counters = await pipe.execute()
        return {name.decode(): int(count) for name, count in counters.items()}

    async def forget_beat(self, consumer: str) -> None:
        """See Streams."""
        async with replies.speaking("heartbeat"):
            await self._do("HDEL", HEARTBEATS, consumer)

    async def consumers(self, pairs: Sequence[Pair]) -> list[dict[str, int]]:
        """See Streams."""
        async with replies.speaking("list consumers"):
            pipe = self.client.pipeline(transaction=False)
            for event, group in pairs:
                pipe.execute_command("XINFO CONSUMERS", _STREAM + event, group)
            answers = await pipe.execute(raise_on_error=False) if pairs else []
        return [replies.unless_missing(reply, replies.consumers) or {} for reply in answers]

    async def remove_consumer(self, pair: Pair, consumer: str) -> bool:
        """See Streams."""
        [reply] = await self._eval("remove a consumer", [(scripts.REMOVE, _keys(pair), (pair[1], consumer))])
        return replies.unless_missing(reply, bool) is not False

    async def tails(self, events: Iterable[str]) -> dict[str, str]:
        """See Streams."""
        wanted = list(events)
        if not self.blocking:
            return self._bell.positions(wanted)
        async with replies.speaking("look at the streams' ends"):
            pipe = self.client.pipeline(transaction=False)
            for event in wanted:
                pipe.execute_command("XREVRANGE", _STREAM + event, "+", "-", "COUNT", 1)
            answers = await pipe.execute() if wanted else []
        return {event: rows[0][0].decode() if rows else "0-0" for event, rows in zip(wanted, answers, strict=True)}

    async def news(self, positions: Mapping[str, str]) -> dict[str, str]:
        """See Streams."""
        if not self.blocking:
            return await self._bell.news(positions)
        if self._doorbell is None:
            self._doorbell = self._own_client()
        keys = [_STREAM + event for event in positions]
        async with replies.speaking("wait for news"):
            reply = await self._do(
                "XREAD",
                "COUNT",
                1,
                "BLOCK",
                int(BLOCK * 1000),
                "STREAMS",
                *keys,
                *positions.values(),
                by=self._doorbell,
            )
        return {name.decode().removeprefix(_STREAM): rows[0][0].decode() for name, rows in reply or ()}

    async def snapshot(self, pairs: Sequence[Pair]) -> Snapshot:
        """See Streams."""
        names = list(dict.fromkeys(event for event, _ in pairs))
        async with replies.speaking("take a snapshot"):
            pipe = self.client.pipeline(transaction=True)
            for event in names:
                pipe.execute_command("XINFO STREAM", _STREAM + event)
                pipe.execute_command("XINFO GROUPS", _STREAM + event)
            for pair in pairs:
                stream, retry, attempts = _keys(pair)
                pipe.xpending_range(stream, pair[1], "-", "+", 1_000_000)
                pipe.zrange(retry, 0, -1, withscores=True)
                pipe.execute_command("HGETALL", attempts)
            answers = iter(await pipe.execute(raise_on_error=False))
        streams = {
            event: (replies.unless_missing(next(answers), dict), replies.unless_missing(next(answers), list))
            for event in names
        }
        return Snapshot(
            {pair: replies.state(streams[pair[0]], pair, next(answers), next(answers), next(answers)) for pair in pairs}
        )

    async def events(self) -> list[StreamState]:
        """See Streams."""
        async with replies.speaking("list events"):
            names = {key.decode().removeprefix(_STREAM) async for key in self.client.scan_iter(_STREAM + "*", 1000)}
            buried = [key.decode() async for key in self.client.scan_iter(f"dead:{{{_STREAM}*}}:*", 1000)]
            owners = [key.removeprefix(f"dead:{{{_STREAM}").partition("}:") for key in buried]
            found = []
            for event in sorted(names | {owner for owner, _, _ in owners}):
                known = replies.unless_missing(await self._try("XINFO GROUPS", _STREAM + event), list) or []
                groups = {row["name"].decode() for row in known} | {
                    group for owner, _, group in owners if owner == event
                }
                state = (await self.snapshot([(event, group) for group in sorted(groups)])).groups
                dead = {group: int(await self._do("XLEN", _dead_key((event, group)))) for group in groups}
                found.append(StreamState(event, int(await self._do("XLEN", _STREAM + event)), state, dead))
        return found

    async def dead_letters(self, pair: Pair, *, start: str = "-", limit: int = 100) -> list[DeadLetter]:
        """See Streams."""
        async with replies.speaking("read dead letters"):
            rows = await self._do("XRANGE", _dead_key(pair), start, "+", "COUNT", limit)
        return [DeadLetter.decode(pair, entry_id.decode(), fields) for entry_id, fields in rows]

    async def requeue(self, pair: Pair, letter_id: str, now: float) -> bool:
        """See Streams."""
        keys, args = (*_keys(pair), _dead_key(pair)), (pair[1], letter_id, repr(now), scripts.HANDED_BACK)
        [reply] = await self._eval("requeue a dead letter", [(scripts.REQUEUE, keys, args)])
        code = replies.unless_missing(reply, int)
        if code == 0:
            return False
        if code != 1:  # the entry was trimmed, or its group is gone: send it again, for this group alone
            [letter] = await self.dead_letters(pair, start=letter_id, limit=1)
            fields = {**letter.fields, b"targetgroup": pair[1].encode()}
            async with replies.speaking("requeue a dead letter"):
                pipe = self.client.pipeline(transaction=True)
                pipe.execute_command(
                    "XADD", _STREAM + pair[0], "*", *(part for item in fields.items() for part in item)
                )
                pipe.execute_command("XDEL", _dead_key(pair), letter_id)
                await pipe.execute()
        self._bell.ring(pair[0])
        return True

    async def drop(self, pair: Pair, letter_id: str) -> bool:
        """See Streams."""
        async with replies.speaking("drop a dead letter"):
            return bool(await self._do("XDEL", _dead_key(pair), letter_id))

    async def trim(self, event: str, maxlen: int, *, exact: bool = False) -> int:
        """See Streams."""
        trimmed = 0
        while True:
            [reply] = await self._eval(
                "trim", [(scripts.TRIM, (_STREAM + event,), (maxlen, 1000, "=" if exact else "~"))]
            )
            step = replies.unless_missing(reply, int) or 0
            trimmed += step
            if not step:
                return trimmed

    async def length(self, event: str) -> int:
        """See Streams."""
        async with replies.speaking("measure a stream"):
            return int(await self._do("XLEN", _STREAM + event))

    async def ping(self) -> None:
        """See Streams."""
        async with replies.speaking("reach the server"):
            await self._do("PING")

    async def close(self) -> None:
        """See Streams."""
        if self._doorbell is not None:
            await self._doorbell.aclose()
            self._doorbell = None

    async def _do(self, *command: Any, by: Redis | None = None) -> Any:
        return await (by or self.client).execute_command(*command)  # type: ignore[no-untyped-call]

    async def _try(self, *command: Any) -> Any:
        try:
            return await self._do(*command)
        except ResponseError as error:
            return error

    def _own_client(self) -> Redis:
        pool = self.client.connection_pool
        options = {**pool.connection_kwargs, "socket_timeout": BLOCK + 5.0}
        return Redis.from_pool(ConnectionPool(pool.connection_class, max_connections=2, **options))

    async def _eval(self, doing: str, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run scripts in one round trip. An error of one is its reply; scripts that the server lacks are loaded."""
        if not calls:
            return []
        async with replies.speaking(doing):
            for script in {script for script, _, _ in calls}.difference(self._shas):
                self._shas[script] = (await self.client.script_load(script)) or ""
            answers = await self._evalsha(calls)
            lacking = [index for index, reply in enumerate(answers) if isinstance(reply, NoScriptError)]
            if lacking:
                for script in {calls[index][0] for index in lacking}:
                    await self.client.script_load(script)
                again = await self._evalsha([calls[index] for index in lacking])
                for index, reply in zip(lacking, again, strict=True):
                    answers[index] = reply
        return answers

    async def _evalsha(self, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]:
        pipe = self.client.pipeline(transaction=False)
        for script, keys, args in calls:
            pipe.execute_command("EVALSHA", self._shas[script], len(keys), *keys, *args)
        return list(await pipe.execute(raise_on_error=False))


def _keys(pair: Pair) -> tuple[str, str, str]:
    event, group = pair
    return f"{_STREAM}{event}", f"retry:{{{_STREAM}{event}}}:{group}", f"attempts:{{{_STREAM}{event}}}:{group}"


def _dead_key(pair: Pair) -> str:
    return f"dead:{{{_STREAM}{pair[0]}}}:{pair[1]}"
