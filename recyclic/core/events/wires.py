"""wire_of: the wire that fits a client."""

from __future__ import annotations

from redis.asyncio import Redis

from recyclic.core.events.cluster import ClusterWire
from recyclic.core.events.master import MasterWire
from recyclic.core.events.multiplexed import Multiplexed
from recyclic.core.events.wire import PlainWire, Wire
from recyclic.core.redis_cluster import ClusterClient
from recyclic.core.redis_sentinel import MasterPool
from recyclic.errors import BusError, Problem


def wire_of(client: Redis | ClusterClient, *, blocking: bool) -> Wire:
    """Return a wire to where the client goes; `blocking=False` for an in-process fake.

    Raises:
        BusError: the client speaks another protocol than the bus.
    """
    if isinstance(client, ClusterClient):
        return ClusterWire(client)
    pool = client.connection_pool
    if pool.connection_kwargs.get("protocol") not in (2, "2") or pool.connection_kwargs.get("decode_responses"):
        remedy = "open it with protocol=2, undecoded"
        raise BusError(Problem("the Redis client speaks another protocol", "RedisStreams", remedy))
    if not blocking:
        return PlainWire(client)
    return MasterWire(pool) if isinstance(pool, MasterPool) else Multiplexed(pool.make_connection)
