"""RedisStreams: the one file that speaks Redis Streams; `ledger.py` is its operators' half."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

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
    Verdict,
    Want,
)
from recyclic.core.events.gauges import RedisGauges
from recyclic.core.events.handover import RedisHandover
from recyclic.core.events.keys import STREAM, dead_key, pair_keys
from recyclic.core.events.ledger import RedisLedger
from recyclic.core.events.multiplexed import BLOCK
from recyclic.core.events.port import News, Streams
from recyclic.core.events.wire import Command, Wire
from recyclic.core.events.wires import wire_of
from recyclic.core.redis_cluster import ClusterClient

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
    "Streams",
    "Verdict",
    "Want",
]

HEARTBEATS = "recyclic:heartbeats"

_VERDICTS = {int(verdict): verdict for verdict in Verdict}


class RedisStreams(RedisLedger, RedisHandover, RedisGauges):
    """Streams on a Redis or Valkey server, or with `blocking=False` on an in-process fake, never asked to block.

    `client` must speak `protocol=2`, not decode responses, and belongs to the caller. The hot path has a `wire` of its
    own: by default one connection to where the client goes. On a fake, give all the transports of one server the same
    `bell`.
    """

    def __init__(
        self,
        client: Redis | ClusterClient,
        *,
        blocking: bool = True,
        bell: Bell | None = None,
        wire: Wire | None = None,
    ) -> None:
        self.client = client
        self.blocking = blocking
        self._bell = bell or Bell()
        self._wire = wire or wire_of(client, blocking=blocking)
        self.reads_behind = self._wire.pipes_behind

    async def append(self, event: str, fields: Mapping[str, bytes]) -> str:
        """See Streams."""
        key = STREAM + event
        words = ["XADD", key, "*"]
        for item in fields.items():
            words += item  # type: ignore[arg-type]
        try:
            [entry_id] = await self._wire.run([(key, tuple(words))])
        except (RedisError, OSError) as error:
            raise replies.failed(error, f"append to {key}") from error
        if isinstance(entry_id, Exception):
            raise replies.failed(entry_id, f"append to {key}") from entry_id
        self._grown(event)
        return str(entry_id.decode())

    async def ensure_groups(self, pairs: Iterable[Pair]) -> list[Pair]:
        """See Streams."""
        wanted = list(pairs)
        calls = [
            (STREAM + event, ("XGROUP", "CREATE", STREAM + event, group, "0", "MKSTREAM")) for event, group in wanted
        ]
        async with replies.speaking("create groups"):
            answers = await self._wire.run(calls) if calls else []
            for reply in answers:
                if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
                    raise reply
        return [pair for pair, reply in zip(wanted, answers, strict=True) if not isinstance(reply, Exception)]

    async def read(self, consumer: str, wants: Sequence[Want]) -> list[list[Entry] | None]:
        """See Streams."""
        async with replies.speaking("read"):
            answers = await self._wire.run([_reading(consumer, want) for want in wants])
        return [replies.unless_missing(reply, replies.read) for reply in answers]

    async def ack(self, consumer: str, acks: Sequence[Ack]) -> list[list[Verdict]]:
        """See Streams."""
        answers = await self._eval(
            "ack", [(scripts.ACK, pair_keys(pair), (pair[1], consumer, *entry_ids)) for pair, entry_ids in acks]
        )
        return [
            replies.unless_missing(reply, lambda codes: [_VERDICTS[code] for code in codes])
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

    async def take_due(
        self, consumer: str, wants: Sequence[Want], now: float, horizon: float = math.inf
    ) -> list[list[Entry] | None]:
        """See Streams."""
        calls = [
            (scripts.TAKE_DUE, pair_keys(pair), (pair[1], consumer, repr(now), count, repr(horizon)))
            for pair, count in wants
        ]
        return [replies.unless_missing(reply, replies.entries) for reply in await self._eval("take due retries", calls)]

    async def claim(
        self, pair: Pair, consumer: str, dead: str, *, limit: int, now: float, max_attempts: int
    ) -> tuple[int, list[Entry]]:
        """See Streams."""
        args = (pair[1], consumer, dead, repr(now), limit, max_attempts)
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
        beat = (HEARTBEATS, ("HINCRBY", HEARTBEATS, consumer, 1))
        raised, counters = await self._run("heartbeat", [beat, (HEARTBEATS, ("HGETALL", HEARTBEATS))])
        del raised
        return {name.decode(): int(count) for name, count in replies.flat(counters).items()}

    async def forget_beat(self, consumer: str) -> None:
        """See Streams."""
        await self._run("heartbeat", [(HEARTBEATS, ("HDEL", HEARTBEATS, consumer))])

    async def consumers(self, pairs: Sequence[Pair]) -> list[dict[str, int]]:
        """See Streams."""
        calls = [(STREAM + event, ("XINFO", "CONSUMERS", STREAM + event, group)) for event, group in pairs]
        async with replies.speaking("list consumers"):
            answers = await self._wire.run(calls) if calls else []
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
        calls = [(STREAM + event, ("XREVRANGE", STREAM + event, "+", "-", "COUNT", 1)) for event in wanted]
        answers = await self._run("look at the streams' ends", calls)
        return {event: rows[0][0].decode() if rows else "0-0" for event, rows in zip(wanted, answers, strict=True)}

    async def news(self, positions: Mapping[str, str], consumer: str = "", wants: Sequence[Want] = ()) -> News:
        """See Streams."""
        if not self.blocking:
            return News(await self._bell.news(positions), [])
        keys = [STREAM + event for event in positions]
        words = ("XREAD", "COUNT", 1, "BLOCK", int(BLOCK * 1000), "STREAMS", *keys, *positions.values())
        async with replies.speaking("wait for news"):
            told, *answers = await self._wire.wait([(keys[0], words), *(_reading(consumer, want) for want in wants)])
            if isinstance(told, Exception):
                raise told
        grown = {name.decode().removeprefix(STREAM): rows[0][0].decode() for name, rows in told or ()}
        return News(grown, [replies.unless_missing(reply, replies.read) for reply in answers])

    async def recall(self) -> None:
        """See Streams."""
        with contextlib.suppress(RedisError, OSError):
            await self._wire.recall()

    async def snapshot(self, pairs: Sequence[Pair], beside: str = "") -> Snapshot:
        """See Streams."""
        names = list(dict.fromkeys(event for event, _ in pairs))
        calls: list[Command] = []
        for event in names:
            key = STREAM + event
            calls += [(key, ("XINFO", "STREAM", key)), (key, ("XINFO", "GROUPS", key))]
        for pair in pairs:
            key, retry, attempts = pair_keys(pair)
            calls += [
                (key, ("XPENDING", key, pair[1], "-", "+", 1_000_000)),
                (key, ("ZRANGE", retry, 0, -1, "WITHSCORES")),
                (key, ("HGETALL", attempts)),
            ]
        if beside:
            calls.append((beside, ("HGETALL", beside)))
        async with replies.speaking("take a snapshot"):
            answers = iter(await self._wire.atomically(calls) if calls else [])
        streams = {
            event: (replies.unless_missing(next(answers), replies.flat), replies.unless_missing(next(answers), list))
            for event in names
        }
        groups = {
            pair: replies.state(streams[pair[0]], pair, next(answers), next(answers), next(answers)) for pair in pairs
        }
        fields = {name.decode(): value for name, value in replies.flat(next(answers)).items()} if beside else {}
        return Snapshot(groups, fields)

    async def ping(self) -> None:
        """See Streams."""
        await self._run("reach the server", [("", ("PING",))])

    async def close(self) -> None:
        """See Streams."""
        await self._wire.close()

    def _grown(self, event: str) -> None:
        if self.blocking:
            self._wire.grown(STREAM + event)
        else:
            self._bell.ring(event)

    async def _run(self, doing: str, calls: Sequence[Command]) -> list[Any]:
        """Run commands of which none may fail."""
        async with replies.speaking(doing):
            answers = await self._wire.run(calls) if calls else []
            for reply in answers:
                if isinstance(reply, Exception):
                    raise reply
        return answers

    async def _eval(self, doing: str, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run scripts in one round trip, each where its keys are. An error of one is its reply.

        A server that does not know a script by its digest is sent the text, which it then knows.
        """
        if not calls:
            return []
        async with replies.speaking(doing):
            answers = await self._wire.run(
                [(keys[0], ("EVALSHA", _digest(script), len(keys), *keys, *args)) for script, keys, args in calls]
            )
            lacking = [index for index, reply in enumerate(answers) if isinstance(reply, NoScriptError)]
            if lacking:
                again = [calls[index] for index in lacking]
                whole = [(keys[0], ("EVAL", script, len(keys), *keys, *args)) for script, keys, args in again]
                for index, reply in zip(lacking, await self._wire.run(whole), strict=True):
                    answers[index] = reply
        return answers


def _reading(consumer: str, want: Want) -> Command:
    (event, group), count = want
    key = STREAM + event
    return key, ("XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", key, ">")


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
