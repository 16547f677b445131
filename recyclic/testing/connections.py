"""Cutting the connections between a host and its Redis while an operation is under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ON_THE_WAY = 3
"""Turns of the loop after which a command was written to its connection."""


async def cut_during(client: Any, call: Callable[[], Awaitable[Any]]) -> Any:
    """Run `call` and cut every connection to its Redis meanwhile; whether it took effect is anybody's guess.

    A real server closes them; the in-process fake has none, and refuses instead.
    """
    fake = client.connection_pool.connection_kwargs.get("server")
    if fake is not None:
        fake.connected = False
        try:
            return await call()
        finally:
            fake.connected = True
    running = asyncio.ensure_future(call())
    for _ in range(_ON_THE_WAY):
        await asyncio.sleep(0)
    await _close_all(client)
    return await running


async def _close_all(client: Any) -> None:
    """Have the server close what is connected to this database, but for the connection that asks."""
    own = await client.client_id()
    mine = client.connection_pool.connection_kwargs.get("db") or 0
    for each in await client.client_list():
        if int(each["db"]) == mine and int(each["id"]) != own:
            await client.client_kill_filter(_id=each["id"])
