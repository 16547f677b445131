"""ClusterWire: a wire to a Redis Cluster: one connection to each node, every command to the node that has its slot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, TryAgainError

from recyclic.core.events.cancellation import ended
from recyclic.core.events.multiplexed import BLOCK, Multiplexed
from recyclic.core.events.shard_bell import ShardBell

if TYPE_CHECKING:
    from recyclic.core.events.wire import Command, Words
    from recyclic.core.redis_cluster import ClusterClient

PAUSES = (0.0, 0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds before each further try of a command that a node has sent elsewhere without running it."""

LEARN = 0.1
"""Seconds between two questions to the nodes who has which slot, at least."""

_ELSEWHERE = (MovedError, AskError, TryAgainError)
"""Replies that say: not run, and where or when to try."""

Place = tuple[str, int]
"""A node: its host and port."""

log = structlog.get_logger(__name__)


class ClusterWire:
    """Who has which slot is redis-py's knowledge, the connections are ours.

    A command is only sent again where its reply says that it was not run. While a node cannot be reached, its error
    stands in place of the replies that it owes; the other nodes' replies are not held up by it, or lost.
    """

    pipes_behind = False

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._links: dict[Place, Multiplexed] = {}
        self._learning: asyncio.Task[None] | None = None
        self._ringing: asyncio.Task[None] | None = None
        self._unrung: set[str] = set()
        self._learn_after = 0.0
        self._at_a_loss = False
        self._bell = ShardBell(self._connect, self._place_of, self._learn)

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire."""
        replies: list[Any] = [None] * len(commands)
        left = list(range(len(commands)))
        for pause in PAUSES:
            if pause:
                await asyncio.sleep(pause)
            await self._known()
            parts: dict[Place, list[int]] = {}
            for index in left:
                parts.setdefault(self._after(replies[index], commands[index]), []).append(index)
            await _together(self._send(place, commands, part, replies) for place, part in parts.items())
            left = [index for index in left if isinstance(replies[index], _ELSEWHERE)]
            if not left:
                break
            await self._heed(replies[index] for index in left)
        if any(isinstance(reply, ClusterDownError) for reply in replies):
            self._learn()
        return replies

    async def atomically(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire. One transaction for each slot: what lies in one slot is read at one moment."""
        slots: dict[int, list[int]] = {}
        for index, (key, _) in enumerate(commands):
            slots.setdefault(slot_of(key), []).append(index)
        replies: list[Any] = [None] * len(commands)
        await _together(self._transaction(commands, part, replies) for part in slots.values())
        return replies

    async def everywhere(self, words: Words) -> list[Any]:
        """See Wire."""
        await self._known()
        places = [(node.host, int(node.port)) for node in self._client.get_primaries()]
        replies: list[Any] = [None] * len(places)
        commands: list[Command] = [("", words)] * len(places)
        await _together(self._send(place, commands, [index], replies) for index, place in enumerate(places))
        return replies

    async def wait(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire. What blocks is XREAD: it cannot span slots, so it waits for a ring and reads without blocking."""
        [(_, words)] = commands
        options, streams = words[: words.index("STREAMS")], words[words.index("STREAMS") + 1 :]
        block = int(options[options.index("BLOCK") + 1]) / 1000 if "BLOCK" in options else BLOCK
        counted = options[: options.index("BLOCK")] if "BLOCK" in options else options
        positions = dict(zip(streams[: len(streams) // 2], streams[len(streams) // 2 :], strict=True))
        deadline = asyncio.get_running_loop().time() + block
        while True:
            await self._known()
            await self._bell.attend(positions)
            over = not await self._bell.rings(deadline)
            # at the end look at all: a ring can get lost, and who writes from elsewhere does not ring
            rung = list(positions) if over else self._bell.take(positions)
            found = await self._read(counted, {key: positions[key] for key in rung})
            if found or over:
                return [found or None]

    async def recall(self) -> None:
        """See Wire. Nothing blocks on a server here."""

    def grown(self, key: str) -> None:
        """See Wire. Ring for the readers of the stream; what grows while a ring is under way is rung for after it."""
        self._unrung.add(key)
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring_all(), name="recyclic-bus-ring")

    async def close(self) -> None:
        """See Wire."""
        await self._bell.close()
        await ended([self._learning, self._ringing])
        for link in self._links.values():
            await link.close()

    async def _send(self, place: Place, commands: Sequence[Command], part: list[int], replies: list[Any]) -> None:
        """Send a part of the commands to one node, and put its replies, or its failure, in their places."""
        batch: list[Command] = []
        for index in part:
            if _is_ask(replies[index]):
                batch.append(("", ("ASKING",)))
            batch.append(commands[index])
        try:
            answers = await self._link(place).run(batch)
        except (RedisError, OSError) as error:
            self._learn(place)
            answers = [error] * len(batch)
        answered = (reply for command, reply in zip(batch, answers, strict=True) if command[1] != ("ASKING",))
        for index, reply in zip(part, answered, strict=True):
            replies[index] = reply

    async def _transaction(self, commands: Sequence[Command], part: list[int], replies: list[Any]) -> None:
        before: Any = None
        for pause in PAUSES:
            if pause:
                await asyncio.sleep(pause)
            await self._known()
            place = self._after(before, commands[part[0]])
            batch: list[Command] = [("", ("MULTI",)), *(commands[index] for index in part), ("", ("EXEC",))]
            if _is_ask(before):
                batch.insert(0, ("", ("ASKING",)))
            try:
                *queued, executed = await self._link(place).run(batch)
            except (RedisError, OSError):
                self._learn(place)
                raise
            if not isinstance(executed, Exception):
                for index, reply in zip(part, executed, strict=True):
                    replies[index] = reply
                return
            before = next((reply for reply in (*queued, executed) if isinstance(reply, Exception)), executed)
            if not isinstance(before, _ELSEWHERE):
                raise before
            await self._heed([before])
        raise before

    async def _read(self, options: Words, positions: dict[str, Any]) -> list[Any]:
        """Read several streams without blocking, each for itself; return what XREAD over all would."""
        if not positions:
            return []
        calls: list[Command] = [(key, (*options, "STREAMS", key, start)) for key, start in positions.items()]
        found: list[Any] = []
        for reply in await self.run(calls):
            if isinstance(reply, Exception):
                self._bell.ring(positions)  # nothing of it was told: look again
                raise reply
            found += reply or ()
        return found

    def _after(self, reply: Any, command: Command) -> Place:
        """Return where to send a command, given what became of it so far."""
        return (reply.host, reply.port) if _is_ask(reply) else self._place_of(command[0])

    def _place_of(self, key: str) -> Place:
        """Return the node that has the key; any for the empty key.

        Raises:
            ClusterDownError: no node has it.
        """
        manager = self._client.nodes_manager
        nodes = manager.slots_cache.get(slot_of(key)) if key else [manager.default_node]
        if not nodes or nodes[0] is None:
            self._learn()
            raise ClusterDownError(f"no node of the cluster has the slot of {key!r}")
        return nodes[0].host, int(nodes[0].port)

    def _link(self, place: Place) -> Multiplexed:
        link = self._links.get(place)
        if link is None:
            link = self._links[place] = Multiplexed(lambda: self._connect(place))
        return link

    def _connect(self, place: Place) -> AbstractConnection:
        options: dict[str, Any] = dict(self._client.get_connection_kwargs())
        for name in ("connection_class", "max_connections", "response_callbacks"):
            options.pop(name, None)
        kind = SSLConnection if self._client.tls else Connection
        return kind(host=place[0], port=place[1], retry=Retry(NoBackoff(), 0), **options)

    async def _known(self) -> None:
        """Learn who has which slot, where we know nothing yet."""
        if not self._client.nodes_manager.slots_cache:
            await asyncio.shield(self._learn())

    async def _heed(self, replies: Iterable[Exception]) -> None:
        """Take over what nodes say about their slots."""
        for reply in replies:
            if isinstance(reply, MovedError):
                await self._client.nodes_manager.move_slot(reply)
                self._learn()

    def _learn(self, failed: Place | None = None) -> asyncio.Task[None]:
        """Ask the nodes anew who has which slot, in the background."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._ask(failed), name="recyclic-bus-slots")
        return self._learning

    async def _ask(self, failed: Place | None) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._learn_after - loop.time())
        try:
            await self._client.learn(failed)
            self._at_a_loss = False
        except (RedisError, OSError) as error:
            if not self._client.nodes_manager.slots_cache:
                raise
            if not self._at_a_loss:
                log.warning("no node of the cluster tells who has which slot", error=str(error))
            self._at_a_loss = True
        self._learn_after = loop.time() + LEARN
        self._bell.ring(())

    async def _ring_all(self) -> None:
        while self._unrung:
            keys, self._unrung = self._unrung, set()
            parts: dict[Place, list[Command]] = {}
            try:
                for key in keys:
                    parts.setdefault(self._place_of(key), []).append((key, ("SPUBLISH", key, "")))
                await _together(self._link(place).run(part) for place, part in parts.items())
            except (RedisError, OSError) as error:  # readers look by themselves, a little later
                log.debug("a ring got lost", error=str(error))


def _is_ask(reply: Any) -> bool:
    """Return whether this command alone goes elsewhere, while its slot moves: to redis-py, MOVED is an ASK too."""
    return type(reply) is AskError


@lru_cache(maxsize=4096)
def slot_of(key: str) -> int:
    """Return the slot of a key."""
    return int(key_slot(key.encode()))


async def _together(awaitables: Iterable[Awaitable[Any]]) -> None:
    """Run to the end of all, then raise the first failure; one alone costs no task."""
    waiting = list(awaitables)
    if len(waiting) == 1:
        await waiting[0]
        return
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
