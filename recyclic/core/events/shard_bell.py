"""ShardBell: hears on a Redis Cluster which streams have grown, over one connection to each node."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import hiredis
from redis.exceptions import ClusterDownError, InvalidResponse, MovedError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from recyclic.core.events.cancellation import ended
from recyclic.core.events.multiplexed import TIMEOUT
from recyclic.core.events.takeover import NOTHING, reply_reader, take_over

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from recyclic.core.events.cluster import Place


class ShardBell:
    """Subscribed to a shard channel of each stream's name, on the node that has the stream.

    A ring says no more than "look": rings may be lost, or come for nothing. Where a subscription begins anew, it
    counts as one, so that what came before it is seen.
    """

    def __init__(
        self,
        connect: Callable[[Place], AbstractConnection],
        place_of: Callable[[str], Place],
        learn: Callable[[], object],
    ) -> None:
        self._connect = connect
        self._place_of = place_of
        self._learn = learn
        self._ears: dict[Place, _Ear] = {}
        self._rung: set[str] = set()
        self._awake = asyncio.Event()
        self._opening: asyncio.Task[None] | None = None

    async def attend(self, keys: Iterable[str]) -> None:
        """Hear of these streams, each on the node that has it now.

        Raises:
            RedisError, OSError: a node cannot be reached, or has hung up since.
        """
        wanted: dict[Place, list[str]] = {}
        for key in keys:
            wanted.setdefault(self._place_of(key), []).append(key)
        for place, ear in list(self._ears.items()):
            if ear.error is not None:
                del self._ears[place]
                self._learn()
                raise type(ear.error)(*ear.error.args)
        while missing := wanted.keys() - self._ears.keys():
            if self._opening is None or self._opening.done():
                self._opening = asyncio.create_task(self._open(missing), name="recyclic-bus-ears")
            await asyncio.shield(self._opening)
        for place, named in wanted.items():
            self._ears[place].subscribe(named)

    async def rings(self, deadline: float) -> bool:
        """Wait until something rings, or until `deadline` of the loop's clock; return whether something rang."""
        loop = asyncio.get_running_loop()
        alarm = loop.call_at(deadline, self._awake.set)
        try:
            await self._awake.wait()
        finally:
            alarm.cancel()
        self._awake.clear()
        return bool(self._rung) or loop.time() < deadline

    def take(self, keys: Iterable[str]) -> list[str]:
        """Return which of these streams have rung since they were last taken."""
        rung = [key for key in keys if key in self._rung]
        self._rung.clear()
        return rung

    def ring(self, keys: Iterable[str]) -> None:
        """Ring for these streams; for none, just wake who waits, to attend again."""
        self._rung.update(keys)
        self._awake.set()

    async def close(self) -> None:
        """Hang up."""
        await ended([self._opening])
        self._learn = lambda: None
        ears, self._ears = self._ears, {}
        for ear in ears.values():
            ear.hang_up(RedisConnectionError("the connection was closed"))
            await ear.closed

    async def _open(self, places: Iterable[Place]) -> None:
        for place in places:
            connection = self._connect(place)
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                self._ears[place] = _Ear(connection, self._hear, self._lost)
            except BaseException:
                await connection.disconnect(nowait=True)
                self._learn()
                raise

    def _hear(self, key: str | None) -> None:
        """An ear heard a ring; or, with None, that a slot has moved: who has it by now is learnt, then told."""
        if key is None:
            self._learn()
        else:
            self.ring((key,))

    def _lost(self) -> None:
        """An ear hears nothing any more: whoever waits for a ring has to know at once."""
        self._learn()
        self.ring(())


class _Ear(asyncio.Protocol):
    """One subscribed connection. It takes the transport over from redis-py, which has connected and signed in."""

    def __init__(
        self, connection: AbstractConnection, hear: Callable[[str | None], None], lost: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._hear = hear
        self._lost = lost
        self._asked: deque[str] = deque()
        self._keys: set[str] = set()
        self._reader = reply_reader()
        self._pinged = False
        self.error: Exception | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._writer = take_over(connection, self)
        self._transport: asyncio.WriteTransport = self._writer.transport
        self._watch = self._loop.call_later(TIMEOUT, self._look)
        if self._transport.is_closing():
            self.connection_lost(None)

    def subscribe(self, keys: Iterable[str]) -> None:
        """Subscribe to what is not subscribed to; one command for each, since they are of different slots."""
        new = [key for key in keys if key not in self._keys]
        if new and self.error is None:
            self._keys.update(new)
            self._asked.extend(new)
            asked: list[tuple[Any, ...]] = [("SSUBSCRIBE", key) for key in new]
            self._transport.write(b"".join(hiredis.pack_command(words) for words in asked))

    def hang_up(self, error: Exception) -> None:
        """Close at once."""
        if self.error is None:
            self.error = error
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hear rings, and what becomes of the subscriptions."""
        try:
            self._reader.feed(data)
            while (message := self._reader.gets()) is not NOTHING:
                self._understand(message)
        except (InvalidResponse, IndexError) as error:
            self.hang_up(RedisConnectionError(f"the server said what nobody understands: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that there is nothing to hear here any more."""
        self._watch.cancel()
        if self.error is None:
            self.error = RedisConnectionError(f"the connection was lost: {exc or 'closed by the server'}")
        if not self.closed.done():
            self.closed.set_result(None)
            self._lost()

    def _understand(self, message: Any) -> None:
        if isinstance(message, MovedError | ClusterDownError):  # another node has the slot, or none yet: attend again
            self._keys.discard(self._asked.popleft())
            self._hear(None)
            return
        if isinstance(message, RedisError):
            self.hang_up(message)
            return
        if message == b"PONG":  # nothing is subscribed to at this moment
            self._pinged = False
            return
        kind = message[0]
        if kind == b"smessage":
            self._hear(message[1].decode())
        elif kind == b"ssubscribe":
            self._asked.popleft()
            self._hear(message[1].decode())
        elif kind == b"sunsubscribe":  # the node has lost the slot
            self._keys.discard(message[1].decode())
            self._hear(None)
        elif kind == b"pong":
            self._pinged = False

    def _look(self) -> None:
        """Ask for a sign of life; where the last question is not answered, there is none."""
        if self._pinged:
            self.hang_up(RedisTimeoutError(f"no sign of life within {TIMEOUT:g} s"))
            return
        self._pinged = True
        self._transport.write(hiredis.pack_command(("PING",)))
        self._watch = self._loop.call_later(TIMEOUT, self._look)
