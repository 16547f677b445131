"""ClusterClient: redis-py's client of a Redis Cluster, as the bus needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException


class ClusterClient(RedisCluster):
    """Knows the nodes and who has which slot; carries what operators ask. The hot path has a wire of its own."""

    def __init__(self, hosts: Sequence[tuple[str, int]], **options: Any) -> None:
        self.tls = bool(options.get("ssl"))
        super().__init__(startup_nodes=[ClusterNode(host, port) for host, port in hosts], **options)

    async def learn(self, failed: tuple[str, int] | None = None) -> None:
        """Ask the nodes anew who has which slot, the one that has failed last.

        Raises:
            RedisError: none can tell.
        """
        name = f"{failed[0]}:{failed[1]}" if failed else None
        with _as_redis_error():
            await self.nodes_manager.initialize(last_failed_node_name=name)

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """Run one command where its key is."""
        with _as_redis_error():
            return await super().execute_command(*args, **kwargs)

    async def infos(self) -> list[dict[str, Any]]:
        """Return what each primary says of itself."""
        with _as_redis_error():
            await self.initialize()
        return [dict(await self.info(target_nodes=node)) for node in self.get_primaries()]

    async def aclose(self) -> None:
        """Close all connections, also after a failure, where redis-py takes itself for closed already."""
        await super().aclose()
        for attribute in ("nodes_cache", "startup_nodes"):
            await self.nodes_manager.aclose(attribute)


@contextlib.contextmanager
def _as_redis_error() -> Iterator[None]:
    """A Cluster that cannot be reached is an error of Redis like others, which redis-py's own is not."""
    try:
        yield
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error
