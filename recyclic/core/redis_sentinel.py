"""MasterPool: connections to the master that the Sentinels name, whichever server that is by now."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

PATIENCE = 1.0
"""Seconds that one Sentinel may take to answer; a dead one must not hold the others up."""


class Sentinels(Sentinel):
    """Asks all Sentinels at once and believes the newest: one that was cut off still names a master of old."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the address of the master.

        Raises:
            MasterNotFoundError: no Sentinel answers, none knows the name, or the master is down without a successor.
        """
        asked = [sentinel.sentinel_masters() for sentinel in self.sentinels]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        known: list[dict[str, Any]] = [answer for answer in answers if isinstance(answer, dict)]
        states = [masters[service_name] for masters in known if service_name in masters]
        if not states:
            for answer in answers:
                if isinstance(answer, BaseException) and not isinstance(answer, (RedisError, OSError)):
                    raise answer
            raise MasterNotFoundError(_why(service_name, known, answers))
        newest = max(int(state["config-epoch"]) for state in states)
        for state in states:
            if int(state["config-epoch"]) == newest and self.check_master_state(state, service_name):
                return str(state["ip"]), int(state["port"])
        raise MasterNotFoundError(f"the Sentinels take the master {service_name!r} for down, and have no other yet")


class MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """A bounded pool of connections to the master. Each asks, once it stands, whether it leads to a master."""

    def __init__(self, service_name: str, sentinels: Sentinels, **options: Any) -> None:
        super().__init__(service_name, sentinels, redis_connect_func=_as_master, **options)  # type: ignore[no-untyped-call]

    async def aclose(self) -> None:
        """Close the connections, those to the Sentinels included."""
        await super().aclose()
        await self.sentinel_manager.aclose()


async def _as_master(connection: AbstractConnection) -> None:
    """Sign in, and refuse a replica: a Sentinel may not have heard yet, or a former master not have been told."""
    await connection.on_connect()
    await connection.send_command("ROLE")
    role = (await connection.read_response())[0]
    if role not in (b"master", "master"):
        raise RedisConnectionError("this server is no master: a failover is under way")


def _why(name: str, known: list[dict[str, Any]], answers: list[Any]) -> str:
    if not known:
        errors = {str(answer) for answer in answers}
        return f"no Sentinel answers: {'; '.join(sorted(errors))}"
    names = sorted({found for masters in known for found in masters})
    return f"the Sentinels know no master {name!r}; they know: {', '.join(names) or 'none'}"
