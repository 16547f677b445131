"""Wire: how commands reach a Redis and replies come back. The plain one goes through redis-py's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from redis.asyncio import Redis

Words = tuple[Any, ...]
"""One command: its name and arguments, each text, bytes or a number."""

Command = tuple[str, Words]
"""The key that says which node serves the command, and its words."""


class Wire(Protocol):
    """Replies come undecoded, as RESP2 has them. An error reply is an exception in its place, never raised.

    `pipes_behind` says whether `wait` takes more than one command.
    """

    pipes_behind: bool

    def run(self, commands: Sequence[Command]) -> Awaitable[list[Any]]:
        """Send the commands together and return their replies, in order.

        Never sends anything twice: when the way to the server fails, each command may have run or not.

        Raises:
            RedisError, OSError: the server could not be reached, or did not answer in time.
        """
        ...

    async def atomically(self, commands: Sequence[Command]) -> list[Any]:
        """Run the commands as one transaction for each node."""
        ...

    async def everywhere(self, words: Words) -> list[Any]:
        """Run a command that has no key on every server that takes writes; return what each replied."""
        ...

    async def wait(self, commands: Sequence[Command]) -> list[Any]:
        """Run a command that blocks on the server, on a connection of its own, and others as soon as it has ended.

        Cancelling it is safe: the connection is closed, and each of the others may have run or not.
        """
        ...

    async def recall(self) -> None:
        """Have the command that blocks end now, as if its time were over, where the server lets us ask for that."""
        ...

    def grown(self, key: str) -> None:
        """Hear that a stream has grown, for those who wait on another connection where the server wakes them not."""
        ...

    async def close(self) -> None:
        """Close what this wire opened itself."""
        ...


AT_ONCE = 8
"""Calls of one plain wire that are under way at once: each takes a connection of the client's pool."""


class PlainWire:
    """Runs commands through redis-py's client: for the in-process fake, which speaks no wire protocol."""

    pipes_behind = False

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire."""
        return await self._piped(commands, transaction=False)

    async def atomically(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire."""
        return await self._piped(commands, transaction=True)

    async def everywhere(self, words: Words) -> list[Any]:
        """See Wire."""
        return await self.run([("", words)])

    async def wait(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire. The in-process fake must never be asked to block, so nothing calls this there."""
        return await self.run(commands)

    async def recall(self) -> None:
        """See Wire. Nothing blocks here."""

    def grown(self, key: str) -> None:
        """See Wire. The in-process fake has a Bell of its own."""

    async def close(self) -> None:
        """See Wire."""

    async def _piped(self, commands: Sequence[Command], *, transaction: bool) -> list[Any]:
        pipe = self._client.pipeline(transaction=transaction)
        pipe.response_callbacks = {}  # replies as they come, like those of the other wires
        for _, words in commands:
            pipe.execute_command(*words)
        async with self._turns:
            return list(await pipe.execute(raise_on_error=False))
