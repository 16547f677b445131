"""RedisLedger: the operators' half of RedisStreams: what is looked at, decided and trimmed beside the hot path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from recyclic.core.events import replies, scripts
from recyclic.core.events.entries import DeadLetter, Pair, Snapshot, StreamState
from recyclic.core.events.keys import STREAM, dead_key, pair_keys

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from recyclic.core.events.bell import Bell


class RedisLedger(ABC):
    """Built on the two primitives of its other half: one command, and scripts in one round trip."""

    client: Redis
    _bell: Bell

    @abstractmethod
    async def _do(self, *command: Any) -> Any: ...

    @abstractmethod
    async def _eval(self, doing: str, calls: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> list[Any]: ...

    @abstractmethod
    async def snapshot(self, pairs: Sequence[Pair]) -> Snapshot:
        """See Streams."""

    async def events(self) -> list[StreamState]:
        """See Ledger."""
        async with replies.speaking("list events"):
            names = {key.decode().removeprefix(STREAM) async for key in self.client.scan_iter(STREAM + "*", 1000)}
            buried = [key.decode() async for key in self.client.scan_iter(f"dead:{{{STREAM}*}}:*", 1000)]
            owners = [key.removeprefix(f"dead:{{{STREAM}").partition("}:") for key in buried]
            found = []
            for event in sorted(names | {owner for owner, _, _ in owners}):
                known = replies.unless_missing(await self._try("XINFO GROUPS", STREAM + event), list) or []
                groups = {row["name"].decode() for row in known} | {
                    group for owner, _, group in owners if owner == event
                }
                state = (await self.snapshot([(event, group) for group in sorted(groups)])).groups
                dead = {group: int(await self._do("XLEN", dead_key((event, group)))) for group in groups}
                found.append(StreamState(event, int(await self._do("XLEN", STREAM + event)), state, dead))
        return found

    async def dead_letters(self, pair: Pair, *, start: str = "-", limit: int = 100) -> list[DeadLetter]:
        """See Ledger."""
        async with replies.speaking("read dead letters"):
            rows = await self._do("XRANGE", dead_key(pair), start, "+", "COUNT", limit)
        return [DeadLetter.decode(pair, entry_id.decode(), fields) for entry_id, fields in rows]

    async def requeue(self, pair: Pair, letter_id: str, now: float) -> bool:
        """See Ledger."""
        keys, args = (*pair_keys(pair), dead_key(pair)), (pair[1], letter_id, repr(now), scripts.HANDED_BACK)
        [reply] = await self._eval("requeue a dead letter", [(scripts.REQUEUE, keys, args)])
        code = replies.unless_missing(reply, int)
        if code == 0:
            return False
        if code != 1:  # the entry was trimmed, or its group is gone: send it again, for this group alone
            [letter] = await self.dead_letters(pair, start=letter_id, limit=1)
            fields = {**letter.fields, b"targetgroup": pair[1].encode()}
            async with replies.speaking("requeue a dead letter"):
                pipe = self.client.pipeline(transaction=True)
                pipe.execute_command("XADD", STREAM + pair[0], "*", *(part for item in fields.items() for part in item))
                pipe.execute_command("XDEL", dead_key(pair), letter_id)
                await pipe.execute()
        self._bell.ring(pair[0])
        return True

    async def drop(self, pair: Pair, letter_id: str) -> bool:
        """See Ledger."""
        async with replies.speaking("drop a dead letter"):
            return bool(await self._do("XDEL", dead_key(pair), letter_id))

    async def trim(self, event: str, maxlen: int, *, exact: bool = False) -> int:
        """See Ledger."""
        trimmed = 0
        while True:
            [reply] = await self._eval(
                "trim", [(scripts.TRIM, (STREAM + event,), (maxlen, 1000, "=" if exact else "~"))]
            )
            step = replies.unless_missing(reply, int) or 0
            trimmed += step
            if not step:
                return trimmed

    async def length(self, event: str) -> int:
        """See Ledger."""
        async with replies.speaking("measure a stream"):
            return int(await self._do("XLEN", STREAM + event))

    async def _try(self, *command: Any) -> Any:
        try:
            return await self._do(*command)
        except ResponseError as error:
            return error
