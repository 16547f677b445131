"""A process that relays an outbox until it is killed: `python relaying_process.py DATABASE REDIS BATCH`."""

from __future__ import annotations

import asyncio
import sys

from recyclic.core.database import Database
from recyclic.core.events import outbox
from recyclic.core.events.broker import Broker, BrokerSettings
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect


async def main(database: str, redis: str, batch: str) -> None:
    outbox.BATCH = int(batch)
    settings = BrokerSettings(relay_lease=1.0, relay_poll=0.05)
    broker = Broker(RedisStreams(connect(redis)), database=Database(database), settings=settings)
    await broker.start()
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
