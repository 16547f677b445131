"""MasterPool: connections to the master that the Sentinels name, whichever server that is by now."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.utils import str_if_bytes

PATIENCE = 1.0
"""Seconds that one Sentinel may take to answer; a dead one must not hold the others up."""


class Sentinels(Sentinel):
    """Asks all Sentinels at once and believes the newest: one that was cut off still names a master of old."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the address of the master.

        Raises:
            MasterNotFoundError: no Sentinel answers, none knows the name, or the master is down without a successor.
        """
        asked = [_ask(sentinel, service_name) for sentinel in self.sentinels]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, (RedisError, OSError)):
                raise answer
        told = [answer for answer in answers if not isinstance(answer, BaseException)]
        known = [(masters[service_name], address) for masters, address in told if service_name in masters and address]
        if not known:
            raise MasterNotFoundError(_why(service_name, [masters for masters, _ in told], answers))
        newest = max(int(state["config-epoch"]) for state, _ in known)
        for state, address in known:
            # while a Sentinel puts a failover through, it names the new master and describes the old one
            put_through = address != (str(state["ip"]), int(state["port"]))
            if int(state["config-epoch"]) == newest and (put_through or self.check_master_state(state, service_name)):
                return address
        raise MasterNotFoundError(f"the Sentinels take the master {service_name!r} for down, and have no other yet")


async def _ask(sentinel: Redis, name: str) -> tuple[dict[str, Any], tuple[str, int] | None]:
    """Return what a Sentinel knows of its masters, and which address it gives out for this one."""
    masters: Any = await sentinel.sentinel_masters()
    address: Any = await sentinel.sentinel_get_master_addr_by_name(name)
    return masters, (str(str_if_bytes(address[0])), int(address[1])) if address else None


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
