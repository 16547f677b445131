"""RedisStreams: the one file that speaks Redis Streams; `ledger.py` is its operators' half."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import NoScriptError

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
from recyclic.core.events.keys import STREAM, dead_key, pair_keys
from recyclic.core.events.ledger import RedisLedger
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


class RedisStreams(RedisLedger):
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
        async with self._appends, replies.speaking(f"append to {STREAM}{event}"):
            entry_id = await self._do("XADD", STREAM + event, "*", *(part for item in fields.items() for part in item))
        self._bell.ring(event)
        return str(entry_id.decode())

    async def ensure_groups(self, pairs: Iterable[Pair]) -> list[Pair]:
        """See Streams."""
        wanted = list(pairs)
        async with replies.speaking("create groups"):
            pipe = self.client.pipeline(transaction=False)
            for event, group in wanted:
                pipe.execute_command("XGROUP", "CREATE", STREAM + event, group, "0", "MKSTREAM")
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
                    "XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", STREAM + event, ">"
                )
            return [replies.unless_missing(reply, replies.read) for reply in await pipe.execute(raise_on_error=False)]

    async def ack(self, consumer: str, acks: Sequence[Ack]) -> list[list[Verdict]]:
        """See Streams."""
        answers = await self._eval(
            "ack", [(scripts.ACK, pair_keys(pair), (pair[1], consumer, *entry_ids)) for pair, entry_ids in acks]
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
        [reply] = await self._eval("schedule a retry", [(scripts.SCHEDULE, pair_keys(pair), args)])
        return replies.verdict(reply)

    async def take_due(self, consumer: str, wants: Sequence[Want], now: float) -> list[list[Entry] | None]:
        """See Streams."""
        calls = [(scripts.TAKE_DUE, pair_keys(pair), (pair[1], consumer, repr(now), count)) for pair, count in wants]
        return [replies.unless_missing(reply, replies.entries) for reply in await self._eval("take due retries", calls)]

    async def claim(self, pair: Pair, consumer: str, dead: str, *, limit: int, now: float) -> tuple[int, list[Entry]]:
        """See Streams."""
        args = (pair[1], consumer, dead, repr(now), limit)
        [reply] = await self._eval("claim", [(scripts.CLAIM, pair_keys(pair), args)])
        held, rows = replies.unless_missing(reply, lambda pairs: pairs) or (0, [])
        return int(held), replies.entries(rows)

    async def mine(self, pair: Pair, consumer: str) -> list[Entry] | None:
        """See Streams."""
        start, found = "-", list[Entry]()
        while True:
            [reply] = await self._eval("read own", [(scripts.MINE, pair_keys(pair), (pair[1], consumer, start, 200))])
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
        [reply] = await self._eval("write a dead letter", [(scripts.DEAD, (*pair_keys(pair), dead_key(pair)), args)])
        return replies.verdict(reply)

    async def leave(self, pairs: Sequence[Pair], consumer: str, now: float) -> int:
        """See Streams."""
        calls = [(scripts.LEAVE, pair_keys(p), (p[1], consumer, repr(now), scripts.HANDED_BACK)) for p in pairs]
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
                pipe.execute_command("XINFO CONSUMERS", STREAM + event, group)
            answers = await pipe.execute(raise_on_error=False) if pairs else []
        return [replies.unless_missing(reply, replies.consumers) or {} for reply in answers]

    async def remove_consumer(self, pair: Pair, consumer: str) -> bool:
        """See Streams."""
        [reply] = await self._eval("remove a consumer", [(scripts.REMOVE, pair_keys(pair), (pair[1], consumer))])
        return replies.unless_missing(reply, bool) is not False

    async def tails(self, events: Iterable[str]) -> dict[str, str]:
        """See Streams."""
        wanted = list(events)
        if not self.blocking:
            return self._bell.positions(wanted)
        async with replies.speaking("look at the streams' ends"):
            pipe = self.client.pipeline(transaction=False)
            for event in wanted:
                pipe.execute_command("XREVRANGE", STREAM + event, "+", "-", "COUNT", 1)
            answers = await pipe.execute() if wanted else []
        return {event: rows[0][0].decode() if rows else "0-0" for event, rows in zip(wanted, answers, strict=True)}

    async def news(self, positions: Mapping[str, str]) -> dict[str, str]:
        """See Streams."""
        if not self.blocking:
            return await self._bell.news(positions)
        if self._doorbell is None:
            self._doorbell = self._own_client()
        keys = [STREAM + event for event in positions]
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
        return {name.decode().removeprefix(STREAM): rows[0][0].decode() for name, rows in reply or ()}

    async def snapshot(self, pairs: Sequence[Pair]) -> Snapshot:
        """See Streams."""
        names = list(dict.fromkeys(event for event, _ in pairs))
        async with replies.speaking("take a snapshot"):
            pipe = self.client.pipeline(transaction=True)
            for event in names:
                pipe.execute_command("XINFO STREAM", STREAM + event)
                pipe.execute_command("XINFO GROUPS", STREAM + event)
            for pair in pairs:
                stream, retry, attempts = pair_keys(pair)
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
